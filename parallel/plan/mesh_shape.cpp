#include "parallel/plan/mesh_shape.h"

#include "core/error.h"
#include "core/suggest.h"

namespace veomni {
namespace {

/// What fits instead: shard changed where the other axes allow it.
std::string nearest(const MeshShape& shape, int world) {
  const int others = shape.replicate * shape.sequence;
  if (world % others == 0) return fmt::format("shard {} would fit", world / others);
  if (world == 1) return fmt::format("start {} ranks, or give no layout", others * shape.shard);
  if (world % shape.replicate == 0)
    return fmt::format("with replicate {}, sequence can be {}", shape.replicate,
                       divisors(world / shape.replicate));
  return fmt::format("replicate can be {}", divisors(world));
}

void check_sizes(const MeshShape& shape) {
  require<ConfigError>(shape.replicate >= 1, "parallel.replicate: {}; must be 1 or more",
                       shape.replicate);
  require<ConfigError>(shape.shard >= 0, "parallel.shard: {}; must be 1 or more", shape.shard);
  require<ConfigError>(shape.sequence >= 1, "parallel.sequence: {}; must be 1 or more",
                       shape.sequence);
  require<ConfigError>(shape.expert >= 1, "parallel.expert: {}; must be 1 or more", shape.expert);
}

}  // namespace

std::string MeshShape::text() const {
  std::string all = fmt::format("replicate {} × shard {}", replicate, shard);
  if (sequence > 1) all += fmt::format(" × sequence {}", sequence);
  if (expert > 1) all += fmt::format(", expert {}", expert);
  return all;
}

MeshShape MeshShape::resolve(int world_size) const {
  check_sizes(*this);
  MeshShape full = *this;
  if (shard == 0) {
    require<ConfigError>(world_size % replicate == 0,
                         "parallel.replicate: {} must divide the world of {} ranks; it can be {}",
                         replicate, world_size, divisors(world_size));
    require<ConfigError>(world_size % (replicate * sequence) == 0,
                         "parallel.sequence: {} must divide the {} ranks that replicate {} leaves; "
                         "it can be {}",
                         sequence, world_size / replicate, replicate,
                         divisors(world_size / replicate));
    full.shard = world_size / (replicate * sequence);
  }
  const int64_t ranks = int64_t{full.replicate} * full.shard * full.sequence;
  require<ConfigError>(ranks == world_size, "parallel: {} is {} ranks, but the world has {}; {}",
                       full.text(), ranks, world_size, nearest(full, world_size));
  require<ConfigError>(full.copy_size() % expert == 0,
                       "parallel.expert: {} must divide shard × sequence = {}; it can be {}",
                       expert, full.copy_size(), divisors(full.copy_size()));
  return full;
}

MeshShape::Place MeshShape::place(int rank) const {
  const int copy = rank % copy_size();
  return {.replicate = rank / copy_size(),
          .shard = copy / sequence,
          .sequence = copy % sequence,
          .expert = copy % expert,
          .expert_shard = copy / expert,
          .copy = copy};
}

}  // namespace veomni
