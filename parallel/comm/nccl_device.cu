// The NCCL half of libveomni_cuda.so: parallel/comm/nccl_table.h.
#include <cuda_runtime.h>
#include <nccl.h>

#include <cstring>

#include "parallel/comm/nccl_table.h"

namespace veomni::cuda {
namespace {

static_assert(kVeomniNcclIdBytes == NCCL_UNIQUE_ID_BYTES);
static_assert(kVeomniNcclInProgress == kVeomniNcclBase + ncclInProgress);
static_assert(static_cast<int>(kVeomniNotReady) == static_cast<int>(cudaErrorNotReady));

int code_of(ncclResult_t result) {
  return result == ncclSuccess ? 0 : kVeomniNcclBase + static_cast<int>(result);
}

ncclComm_t comm(void* communicator) { return static_cast<ncclComm_t>(communicator); }

constexpr ncclDataType_t kTypes[] = {ncclUint8,   ncclInt32,   ncclInt64,
                                     ncclFloat32, ncclFloat64, ncclBfloat16};
constexpr int64_t kTypeBytes[] = {1, 4, 8, 4, 8, 2};

const char* error_text(int code) {
  if (code >= kVeomniNcclBase) {
    return ncclGetErrorString(static_cast<ncclResult_t>(code - kVeomniNcclBase));
  }
  return cudaGetErrorString(static_cast<cudaError_t>(code));
}

const char* last_error(void* communicator) { return ncclGetLastError(comm(communicator)); }

int unique_id(unsigned char* id) {
  ncclUniqueId made;
  const ncclResult_t result = ncclGetUniqueId(&made);
  if (result == ncclSuccess) std::memcpy(id, made.internal, sizeof made.internal);
  return code_of(result);
}

int init(const VeomniNcclInit* args, void** communicator) {
  ncclUniqueId id;
  std::memcpy(id.internal, args->id, sizeof id.internal);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  ncclComm_t made = nullptr;
  const ncclResult_t result = ncclCommInitRankConfig(&made, args->size, id, args->rank, &config);
  *communicator = made;
  return code_of(result);
}

int async_error(void* communicator) {
  ncclResult_t state = ncclSuccess;
  const ncclResult_t result = ncclCommGetAsyncError(comm(communicator), &state);
  return code_of(result != ncclSuccess ? result : state);
}

int finalize(void* communicator) { return code_of(ncclCommFinalize(comm(communicator))); }
int destroy(void* communicator) { return code_of(ncclCommDestroy(comm(communicator))); }
int abort_communicator(void* communicator) { return code_of(ncclCommAbort(comm(communicator))); }

int all_reduce(const VeomniNcclCall* c) {
  return code_of(ncclAllReduce(c->in, c->out, c->count, kTypes[c->type], ncclSum,
                               comm(c->communicator), static_cast<cudaStream_t>(c->stream)));
}

int all_gather(const VeomniNcclCall* c) {
  return code_of(ncclAllGather(c->in, c->out, c->count, kTypes[c->type], comm(c->communicator),
                               static_cast<cudaStream_t>(c->stream)));
}

int reduce_scatter(const VeomniNcclCall* c) {
  return code_of(ncclReduceScatter(c->in, c->out, c->count, kTypes[c->type], ncclSum,
                                   comm(c->communicator), static_cast<cudaStream_t>(c->stream)));
}

int broadcast(const VeomniNcclCall* c) {
  return code_of(ncclBroadcast(c->in, c->out, c->count, kTypes[c->type], c->root,
                               comm(c->communicator), static_cast<cudaStream_t>(c->stream)));
}

/// Sends and receives of one group; the group is ended whatever happens in it, and the first error
/// wins.
int all_to_all(const VeomniNcclAllToAll* a) {
  const auto stream = static_cast<cudaStream_t>(a->stream);
  const int64_t bytes = kTypeBytes[a->type];
  const auto* in = static_cast<const unsigned char*>(a->in);
  auto* out = static_cast<unsigned char*>(a->out);
  ncclResult_t first = ncclGroupStart();
  if (first != ncclSuccess) return code_of(first);
  const auto note = [&](ncclResult_t result) {
    if (first == ncclSuccess && result != ncclInProgress) first = result;
  };
  for (int32_t peer = 0; peer < a->size; ++peer) {
    if (a->send[peer] > 0) {
      note(ncclSend(in, a->send[peer], kTypes[a->type], peer, comm(a->communicator), stream));
    }
    if (a->receive[peer] > 0) {
      note(ncclRecv(out, a->receive[peer], kTypes[a->type], peer, comm(a->communicator), stream));
    }
    in += a->send[peer] * bytes;
    out += a->receive[peer] * bytes;
  }
  const ncclResult_t ended = ncclGroupEnd();
  return code_of(first != ncclSuccess ? first : ended);
}

int stream_create(void** stream) {
  return cudaStreamCreateWithFlags(reinterpret_cast<cudaStream_t*>(stream), cudaStreamNonBlocking);
}
int stream_destroy(void* stream) { return cudaStreamDestroy(static_cast<cudaStream_t>(stream)); }
int event_create(void** event) {
  return cudaEventCreateWithFlags(reinterpret_cast<cudaEvent_t*>(event), cudaEventDisableTiming);
}
int event_destroy(void* event) { return cudaEventDestroy(static_cast<cudaEvent_t>(event)); }
int event_record(void* event, void* stream) {
  return cudaEventRecord(static_cast<cudaEvent_t>(event), static_cast<cudaStream_t>(stream));
}
int event_query(void* event) { return cudaEventQuery(static_cast<cudaEvent_t>(event)); }
int stream_wait(void* stream, void* event) {
  return cudaStreamWaitEvent(static_cast<cudaStream_t>(stream), static_cast<cudaEvent_t>(event), 0);
}

const VeomniNcclTable kTable = {kVeomniNcclTableVersion,
                                error_text,
                                last_error,
                                unique_id,
                                init,
                                async_error,
                                finalize,
                                destroy,
                                abort_communicator,
                                all_reduce,
                                all_gather,
                                reduce_scatter,
                                broadcast,
                                all_to_all,
                                stream_create,
                                stream_destroy,
                                event_create,
                                event_destroy,
                                event_record,
                                event_query,
                                stream_wait};

}  // namespace
}  // namespace veomni::cuda

extern "C" __attribute__((visibility("default"))) const VeomniNcclTable* veomni_nccl_table(
    int version) {
  return version == kVeomniNcclTableVersion ? &veomni::cuda::kTable : nullptr;
}
