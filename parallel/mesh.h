#pragma once
// The ranks as a grid with named axes, outermost first: replicate × shard. Knows who belongs to
// which group.

#include <cstdint>
#include <memory>
#include <vector>

#include "core/communicator.h"

namespace veomni {

struct ParallelContext;

/// Sizes of the axes (recipe keys parallel.replicate, parallel.shard).
struct MeshShape {
  int replicate = 1;
  int shard = 0;  ///< 0: all that replicate leaves

  /// With shard filled in. Throws ConfigError when the axes do not fill the world.
  MeshShape resolve(int world_size) const;
};

class Mesh {
 public:
  /// Collective over `world`, which outlives the mesh. Throws ConfigError (see MeshShape::resolve).
  Mesh(Communicator& world, MeshShape shape);

  const MeshShape& shape() const { return shape_; }
  Communicator& world() { return world_; }
  Communicator& data() { return *data_; }            ///< replicate × shard: who shares the lanes
  Communicator& shard() { return *shard_; }          ///< parameters are split over it
  Communicator& replicate() { return *replicate_; }  ///< holds the same shard
  /// Fills in the groups.
  void fill(ParallelContext& context);

 private:
  MeshShape shape_;
  Communicator& world_;
  std::unique_ptr<Communicator> data_, shard_, replicate_;
};

}  // namespace veomni
