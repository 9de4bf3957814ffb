#pragma once
// The ranks as a grid with named axes, outermost first: replicate × shard. Knows who belongs to
// which group.

#include <cstdint>
#include <memory>
#include <vector>

#include "core/communicator.h"

namespace veomni {

class NcclCommunicator;
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
  ~Mesh();

  const MeshShape& shape() const { return shape_; }
  Communicator& world() { return world_; }
  Communicator& data() { return *data_; }            ///< replicate × shard: who shares the lanes
  Communicator& shard();                             ///< parameters are split over it
  Communicator& replicate();                         ///< holds the same shard
  /// From here on `shard` and `replicate` carry tensors of this rank's GPU, by NCCL; `world` and `data` go on carrying host
  /// tensors. Collective. Throws DeviceError, CommError.
  void use_gpu(int device_index);
  /// Fills in the groups.
  void fill(ParallelContext& context);
  /// Ends what use_gpu() began, where all is well: without it the destructor aborts those groups. Collective.
  void close();

 private:
  MeshShape shape_;
  Communicator& world_;
  std::unique_ptr<Communicator> data_, host_shard_, host_replicate_;
  std::unique_ptr<NcclCommunicator> gpu_shard_, gpu_replicate_;  ///< null: one rank, or no GPU
};

}  // namespace veomni
