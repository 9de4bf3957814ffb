
#include <atomic>
#include <cstdlib>
#include <thread>

#include "core/error.h"
#include "parallel/comm/mpi.h"
#include "parallel/comm/mpi_api.h"
#include "parallel/comm/mpi_group.h"
#include "parallel/comm/mpi_progress.h"
#include "parallel/comm/shared_group.h"

namespace veomni {
namespace {

/// On one machine shared memory is all it takes: not looking for networks saves 0.2 s of start-up.
/// A setting that the user made stays.
void prefer_shared_memory() {
  const char* world = std::getenv("OMPI_COMM_WORLD_SIZE");
  const char* local = std::getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
  if (world != nullptr && (local == nullptr || std::string(world) != local)) return;
  if (world == nullptr && started_by_mpirun())
    return;  // srun: where the ranks are is not known yet
  constexpr int kKeep = 0;
  setenv("OMPI_MCA_pml", "ob1", kKeep);
  setenv("OMPI_MCA_btl", "self,vader", kKeep);
  setenv("OMPI_MCA_osc", "^ucx", kKeep);
  // Alone, OpenMPI would start a daemon (orted) beside this process: 0.2 s, and one that a killed run leaves behind.
  if (world == nullptr) setenv("OMPI_MCA_ess_singleton_isolated", "1", kKeep);
}

/// VEOMNI_SHARED_MEMORY=0: ranks of one machine exchange messages of MPI like those of several.
bool shares_memory() {
  const char* setting = std::getenv("VEOMNI_SHARED_MEMORY");
  const std::string text = setting == nullptr ? "" : setting;
  require<ConfigError>(text.empty() || text == "0" || text == "1",
                       "VEOMNI_SHARED_MEMORY: '{}' is neither 0 nor 1", text);
  return text != "0";
}

void initialise() {
  int initialised = 0;
  comm::check_mpi(MPI_Initialized(&initialised), "mpi", "MPI_Initialized");
  require<CommError>(initialised == 0, "mpi: was started already in this process");
  int provided = 0;
  comm::check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided), "mpi",
                  "MPI_Init_thread");
  require<CommError>(provided >= MPI_THREAD_SERIALIZED,
                     "mpi: this MPI was built without thread support (level {})", provided);
  comm::check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "mpi",
                  "MPI_Comm_set_errhandler");
}

}  // namespace

struct MpiSession::State {
  comm::MpiProgress messages;
  comm::SharedProgress shared;
  std::unique_ptr<Communicator> world;
  std::unique_ptr<comm::SharedSegment>
      reports;  ///< of this machine's ranks; null where there is no shared memory
  int local_rank = 0, local_size = 1;
};

bool started_by_mpirun() {
  return std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr || std::getenv("PMIX_RANK") != nullptr ||
         std::getenv("PMI_RANK") != nullptr;
}

MpiSession::MpiSession() {
  prefer_shared_memory();
  initialise();
  MPI_Comm node = MPI_COMM_NULL;
  comm::check_mpi(
      MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node), "mpi",
      "MPI_Comm_split_type");
  state_ = std::make_unique<State>();
  comm::check_mpi(MPI_Comm_rank(node, &state_->local_rank), "mpi", "MPI_Comm_rank");
  comm::check_mpi(MPI_Comm_size(node, &state_->local_size), "mpi", "MPI_Comm_size");
  state_->reports = comm::common_segment("mpi", node, true, sizeof(std::atomic<int>));
  comm::check_mpi(MPI_Comm_free(&node), "mpi", "MPI_Comm_free");
  state_->world = comm::make_group("world", MPI_COMM_WORLD,
                                   {state_->messages, state_->shared, shares_memory()});
}

MpiSession::~MpiSession() = default;

Communicator& MpiSession::world() { return *state_->world; }
int MpiSession::local_rank() const { return state_->local_rank; }
int MpiSession::local_size() const { return state_->local_size; }

bool MpiSession::first_to_report() {
  if (!state_->reports) return true;
  return reinterpret_cast<std::atomic<int>*>(state_->reports->data())->exchange(1) == 0;
}

void MpiSession::close() {
  require<CommError>(state_->messages.stop(), "mpi: close with operations still under way");
  comm::check_mpi(MPI_Finalize(), "mpi", "MPI_Finalize");
}

// Takes no lock: whoever holds it may be waiting for the peer that this call is about to end.
void MpiSession::abort(int code) {
  MPI_Abort(MPI_COMM_WORLD, code);
  std::_Exit(code);
}

}  // namespace veomni
