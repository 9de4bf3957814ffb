#pragma once
// Which communicator carries a group of MPI ranks.

#include <memory>
#include <string>

#include "core/communicator.h"
#include "parallel/comm/mpi_api.h"
#include "parallel/comm/shared_segment.h"

namespace veomni::comm {

class MpiProgress;
class SharedProgress;

/// What groups of MPI ranks go by; both outlive them.
struct MpiTransports {
  MpiProgress& messages;
  SharedProgress& shared;
  bool share_memory = true;  ///< false: messages between ranks of one machine too
};

/// Shared memory where all ranks are on one machine and may map each other's, MPI's messages otherwise. Collective,
/// with no other MPI call of this process under way. Throws CommError.
std::unique_ptr<Communicator> make_group(const std::string& name, MPI_Comm group,
                                         const MpiTransports& transports);

/// Memory of `bytes` zeros that all ranks of a group on one machine have mapped; null on all of them when it fails on
/// any or one does not `want` it. Collective, as make_group.
std::unique_ptr<SharedSegment> common_segment(const std::string& name, MPI_Comm group, bool want,
                                              int64_t bytes);

}  // namespace veomni::comm
