#pragma once
// Ranks as MPI processes. Starting MPI, and the world communicator for host tensors (device tensors
// are staged through host memory).

#include <memory>

#include "core/communicator.h"

namespace veomni {

/// MPI from start to end of the program. Errors of MPI are reported as CommError, never as an
/// abort.
class MpiSession {
 public:
  /// Starts MPI; under mpirun the world is the job, without it this process alone. Throws
  /// CommError.
  MpiSession();
  /// Does not talk to peers: without close() MPI is left unfinished, and mpirun ends the job when
  /// the process leaves.
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  Communicator& world();
  /// Among the ranks on this machine.
  int local_rank() const;
  int local_size() const;

  /// True on the first rank of this machine that asks: the one whose failure explains the others'.
  bool first_to_report();

  /// Collective, at the end of a good run, after all other communicators are gone.
  void close();
  /// Ends all ranks of the job with this exit code, from any thread, whatever state they are in.
  [[noreturn]] void abort(int code);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Whether this process was started by mpirun or srun with a rank of its own (no MPI call).
bool started_by_mpirun();

}  // namespace veomni
