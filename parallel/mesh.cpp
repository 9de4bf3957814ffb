#include "parallel/mesh.h"

#include "core/error.h"
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
  shard_ = world.split(world.rank() / shape_.shard, "shard");
  replicate_ = world.split(world.rank() % shape_.shard, "replicate");
}

void Mesh::fill(ParallelContext& context) {
  context.world = &world_;
  context.data = data_.get();
  context.shard = shard_.get();
  context.replicate = replicate_.get();
}

}  // namespace veomni
