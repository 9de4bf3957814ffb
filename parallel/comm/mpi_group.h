#pragma once
// Which communicator carries a group of MPI ranks.

#include <memory>
#include <string>

#include "core/communicator.h"
#include "parallel/comm/mpi_api.h"

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

}  // namespace veomni::comm
