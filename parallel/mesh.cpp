#include "parallel/mesh.h"

#include "core/error.h"
#include "parallel/comm/nccl.h"
#include "parallel/fsdp/unit.h"

namespace veomni {

MeshShape MeshShape::resolve(int world_size) const {
  require<ConfigError>(replicate >= 1, "parallel.replicate: {}; must be 1 or more", replicate);
  require<ConfigError>(shard >= 0, "parallel.shard: {}; must be 1 or more", shard);
  if (shard == 0) {
    require<ConfigError>(world_size % replicate == 0,
                         "parallel.replicate: {} must divide the world of {} ranks", replicate,
                         world_size);
    return {replicate, world_size / replicate};
  }
  const int64_t ranks = int64_t{replicate} * shard;
  require<ConfigError>(ranks == world_size,
                       "parallel: replicate {} × shard {} is {} ranks, but the world has {}",
                       replicate, shard, ranks, world_size);
  return *this;
}

Mesh::Mesh(Communicator& world, MeshShape shape)
    : shape_(shape.resolve(world.size())), world_(world) {
  data_ = world.split(0, "data");
  host_shard_ = world.split(world.rank() / shape_.shard, "shard");
  host_replicate_ = world.split(world.rank() % shape_.shard, "replicate");
}

Mesh::~Mesh() = default;

Communicator& Mesh::shard() {
  return gpu_shard_ ? static_cast<Communicator&>(*gpu_shard_) : *host_shard_;
}

Communicator& Mesh::replicate() {
  return gpu_replicate_ ? static_cast<Communicator&>(*gpu_replicate_) : *host_replicate_;
}

void Mesh::use_gpu(int device_index) {
  const NcclSettings settings{device_index, world_.timeout()};
  if (shape_.shard > 1) gpu_shard_ = std::make_unique<NcclCommunicator>(*host_shard_, settings);
  if (shape_.replicate > 1)
    gpu_replicate_ = std::make_unique<NcclCommunicator>(*host_replicate_, settings);
}

void Mesh::close() {
  if (gpu_shard_) gpu_shard_->close();
  if (gpu_replicate_) gpu_replicate_->close();
}

void Mesh::fill(ParallelContext& context) {
  context.world = &world_;
  context.data = data_.get();
  context.shard = &shard();
  context.replicate = &replicate();
}

}  // namespace veomni
