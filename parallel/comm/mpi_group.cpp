#include "parallel/comm/mpi_group.h"

#include "parallel/comm/mpi_communicator.h"
#include "parallel/comm/shared_communicator.h"

namespace veomni::comm {
namespace {

bool on_one_machine(const std::string& name, MPI_Comm group, int size) {
  MPI_Comm machine = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(group, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine), name,
            "MPI_Comm_split_type");
  int near = 0;
  check_mpi(MPI_Comm_size(machine, &near), name, "MPI_Comm_size");
  check_mpi(MPI_Comm_free(&machine), name, "MPI_Comm_free");
  return near == size;
}

}  // namespace

std::unique_ptr<SharedSegment> common_segment(const std::string& name, MPI_Comm group, bool want,
                                              int64_t bytes) {
  int rank = 0;
  check_mpi(MPI_Comm_rank(group, &rank), name, "MPI_Comm_rank");
  std::unique_ptr<SharedSegment> segment;
  if (rank == 0) segment = SharedSegment::create(bytes);
  SharedSegment::Id id = segment ? segment->id() : SharedSegment::Id{};
  check_mpi(MPI_Bcast(&id, sizeof(id), MPI_BYTE, 0, group), name, "MPI_Bcast");
  if (rank != 0) segment = SharedSegment::open(id, bytes);
  int failed = segment && want ? 0 : 1, any = 0;
  check_mpi(MPI_Allreduce(&failed, &any, 1, MPI_INT, MPI_MAX, group), name, "MPI_Allreduce");
  if (any != 0) return nullptr;
  segment->close_descriptor();
  return segment;
}

std::unique_ptr<Communicator> make_group(const std::string& name, MPI_Comm group,
                                         const MpiTransports& transports) {
  check_mpi(MPI_Comm_set_errhandler(group, MPI_ERRORS_RETURN), name, "MPI_Comm_set_errhandler");
  int rank = 0, size = 1;
  check_mpi(MPI_Comm_rank(group, &rank), name, "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(group, &size), name, "MPI_Comm_size");
  if (size > 1 && on_one_machine(name, group, size)) {
    const SharedCommunicator::Place place{rank, size};
    if (auto segment =
            common_segment(name, group, transports.share_memory, SharedRings::segment_bytes(size)))
      return std::make_unique<SharedCommunicator>(
          name, place, std::make_unique<SharedRings>(std::move(segment), rank, size),
          transports.shared);
  }
  return std::make_unique<MpiCommunicator>(name, group, transports);
}

}  // namespace veomni::comm
