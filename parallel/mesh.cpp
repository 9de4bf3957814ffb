#include "parallel/mesh.h"

#include "parallel/comm/counted.h"
#include "parallel/comm/nccl.h"
#include "parallel/fsdp/unit.h"

namespace veomni {

Mesh::Mesh(Communicator& world, MeshShape shape, bool balance_encoders)
    : shape_(shape.resolve(world.size())), world_(world) {
  const auto at = place();
  data_.host = world.split(at.sequence, "data");
  dense_.host = world.split(at.replicate, "dense");
  replicate_.host = world.split(at.copy, "replicate");
  // The others lie within one copy.
  Communicator& copy = *dense_.host;
  sequence_.host = copy.split(at.shard, "sequence");
  expert_.host = copy.split(at.expert_shard, "expert");
  expert_shard_.host = copy.split(at.expert, "expert_shard");
  if (balance_encoders) encoders_.host = world.split(0, "encoders");
  world_counted_ = std::make_unique<CountedCommunicator>(world_, ledger_);
  count(data_);
  for (Group* group : device_groups()) count(*group);
}

Mesh::~Mesh() = default;

void Mesh::count(Group& group) {
  Communicator& used = group.gpu ? static_cast<Communicator&>(*group.gpu) : *group.host;
  group.counted = std::make_unique<CountedCommunicator>(used, ledger_);
}

std::vector<Mesh::Group*> Mesh::device_groups() {
  std::vector<Group*> groups{&dense_, &replicate_, &sequence_, &expert_, &expert_shard_};
  if (encoders_.host) groups.push_back(&encoders_);
  return groups;
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
  context.world = &world();
  context.ledger = &ledger_;
  context.dense = &dense();
  context.replicate = &replicate();
  context.sequence = &sequence();
  context.expert = &expert();
  context.expert_shard = &expert_shard();
  context.encoders = encoders_.counted.get();
}

}  // namespace veomni
