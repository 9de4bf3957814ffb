#include "parallel/mesh.h"

#include "parallel/comm/nccl.h"
#include "parallel/fsdp/unit.h"

namespace veomni {

Mesh::Mesh(Communicator& world, MeshShape shape)
    : shape_(shape.resolve(world.size())), world_(world) {
  const auto at = place();
  data_ = world.split(at.sequence, "data");
  dense_.host = world.split(at.replicate, "dense");
  replicate_.host = world.split(at.copy, "replicate");
  // The others lie within one copy.
  Communicator& copy = *dense_.host;
  sequence_.host = copy.split(at.shard, "sequence");
  expert_.host = copy.split(at.expert_shard, "expert");
  expert_shard_.host = copy.split(at.expert, "expert_shard");
}

Mesh::~Mesh() = default;

Communicator& Mesh::of(Group& group) {
  return group.gpu ? static_cast<Communicator&>(*group.gpu) : *group.host;
}

std::vector<Mesh::Group*> Mesh::device_groups() {
  return {&dense_, &replicate_, &sequence_, &expert_, &expert_shard_};
}

std::vector<Communicator*> Mesh::groups() {
  std::vector<Communicator*> all{data_.get()};
  for (Group* group : device_groups()) all.push_back(&of(*group));
  return all;
}

void Mesh::use_gpu(int device_index) {
  for (Group* group : device_groups())
    if (group->host->size() > 1)
      group->gpu = std::make_unique<NcclCommunicator>(*group->host,
                                                      NcclSettings{device_index, world_.timeout()});
}

void Mesh::close() {
  for (Group* group : device_groups())
    if (group->gpu) group->gpu->close();
}

void Mesh::fill(ParallelContext& context) {
  context.world = &world_;
  context.dense = &dense();
  context.replicate = &replicate();
  context.sequence = &sequence();
  context.expert = &expert();
  context.expert_shard = &expert_shard();
}

}  // namespace veomni
