#pragma once
// NCCL inside libveomni_cuda.so, as a table of C functions: the engine links neither NCCL nor CUDA.
// Communicators are non-blocking: a call may answer kVeomniNcclInProgress, then `async_error` is
// asked until it answers something else.
//
// Functions return 0, a cudaError_t (1 … 9999) or 10000 + ncclResult_t.

#include <cstdint>

enum : int32_t { kVeomniNcclTableVersion = 1, kVeomniNcclIdBytes = 128 };
enum VeomniNcclCode : int32_t {
  kVeomniNotReady = 600,  ///< cudaErrorNotReady: the event has not come
  kVeomniNcclBase = 10000,
  kVeomniNcclInProgress = 10007,
};
enum VeomniNcclType : int32_t {
  kVeomniNcclU8,
  kVeomniNcclI32,
  kVeomniNcclI64,
  kVeomniNcclF32,
  kVeomniNcclF64,
  kVeomniNcclBf16
};

struct VeomniNcclInit {
  const unsigned char* id;  ///< [kVeomniNcclIdBytes], the same on all ranks
  int32_t rank, size;
};

struct VeomniNcclCall {
  void* communicator;
  void* stream;
  const void* in;
  void* out;
  int64_t count;  ///< elements of in (all_reduce, all_gather, broadcast) or of out (reduce_scatter)
  int32_t type, root;
};

struct VeomniNcclAllToAll {
  void* communicator;
  void* stream;
  const void* in;
  void* out;
  const int64_t* send;     ///< host [size]: elements for each rank, laid end to end in `in`
  const int64_t* receive;  ///< host [size]
  int32_t size, type;
};

struct VeomniNcclTable {
  int32_t version;
  const char* (*error_text)(int code);
  const char* (*last_error)(void* communicator);  ///< NCCL's own words, may be empty
  int (*unique_id)(unsigned char* id);
  int (*init)(const VeomniNcclInit*, void** communicator);
  int (*async_error)(void* communicator);
  int (*finalize)(void* communicator);  ///< collective: ends what was started
  int (*destroy)(void* communicator);
  int (*abort)(void* communicator);  ///< local: kernels under way stop, memory is freed

  int (*all_reduce)(const VeomniNcclCall*);
  int (*all_gather)(const VeomniNcclCall*);
  int (*reduce_scatter)(const VeomniNcclCall*);
  int (*broadcast)(const VeomniNcclCall*);
  int (*all_to_all)(const VeomniNcclAllToAll*);

  int (*stream_create)(
      void** stream);  ///< on the current device; does not wait for the default stream
  int (*stream_destroy)(void* stream);
  int (*event_create)(void** event);
  int (*event_destroy)(void* event);
  int (*event_record)(void* event, void* stream);
  int (*event_query)(void* event);  ///< 0: it has come
  int (*stream_wait)(void* stream, void* event);
};

/// Null when the library's version is not the one asked for.
extern "C" const VeomniNcclTable* veomni_nccl_table(int version);
