#pragma once
// The groups of ranks that the axes of the mesh make (parallel/plan/mesh_shape.h), each named in one place.

#include <memory>
#include <string>
#include <vector>

#include "core/comm_ledger.h"
#include "core/communicator.h"
#include "parallel/plan/mesh_shape.h"

namespace veomni {

class NcclCommunicator;
struct ParallelContext;

class Mesh {
 public:
  /// Collective over `world`, which outlives the mesh. `balance_encoders`: with a group for their embeddings. Throws
  /// ConfigError (see MeshShape::resolve).
  Mesh(Communicator& world, MeshShape shape, bool balance_encoders = false);
  ~Mesh();

  const MeshShape& shape() const { return shape_; }
  MeshShape::Place place() const { return shape_.place(world_.rank()); }

  Communicator& world() { return *world_counted_; }
  Communicator& data() { return *data_.counted; }  ///< replicate × shard: who shares the lanes
  Communicator& dense() {
    return *dense_.counted;
  }  ///< shard × sequence: dense parameters are split over it
  Communicator& replicate() { return *replicate_.counted; }  ///< who holds the same parameters
  Communicator& sequence() { return *sequence_.counted; }    ///< who shares the tokens of a pack
  Communicator& sequence_host() { return *sequence_.host; }  ///< the same, for host tensors
  Communicator& expert() { return *expert_.counted; }        ///< who shares the experts of a layer
  /// Experts' parameters are split over it.
  Communicator& expert_shard() { return *expert_shard_.counted; }

  /// What all of them have cost.
  CommLedger& ledger() { return ledger_; }

  /// From here on all groups but `world` and `data` carry tensors of this rank's GPU, by NCCL. Collective. Throws
  /// DeviceError, CommError.
  void use_gpu(int device_index);
  /// Fills in the groups.
  void fill(ParallelContext& context);
  /// Ends what use_gpu() began, where all is well: without it the destructor aborts those groups. Collective.
  void close();

 private:
  struct Group {
    std::unique_ptr<Communicator> host;
    std::unique_ptr<NcclCommunicator> gpu;  ///< null: one rank, or no GPU
    std::unique_ptr<Communicator> counted;  ///< around the one that is used
  };
  std::vector<Group*> device_groups();
  void count(Group& group);

  MeshShape shape_;
  Communicator& world_;
  CommLedger ledger_;
  std::unique_ptr<Communicator> world_counted_;
  Group data_, dense_, replicate_, sequence_, expert_, expert_shard_;
  Group encoders_;  ///< all ranks; without members where encoders are not balanced
};

}  // namespace veomni
