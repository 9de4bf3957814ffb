// The exported table, devices, and the text of errors.
#include <cstring>

#include "kernels/cuda/common.cuh"
#include "kernels/cuda/functions.h"

namespace veomni::cuda {

const char* error_text(int code) {
  if (code == kVeomniUnsupported) return "size or dtype not supported by the kernel";
  return cudaGetErrorString(static_cast<cudaError_t>(code));
}

int device_count(int* count) {
  *count = 0;
  return static_cast<int>(cudaGetDeviceCount(count));
}

int device_info(int device, VeomniDeviceInfo* info) {
  cudaDeviceProp properties;
  if (const cudaError_t code = cudaGetDeviceProperties(&properties, device)) return code;
  int current = 0;
  if (const cudaError_t code = cudaGetDevice(&current)) return code;
  size_t free_bytes = 0, total_bytes = 0;
  if (const cudaError_t code = cudaSetDevice(device)) return code;
  const cudaError_t memory = cudaMemGetInfo(&free_bytes, &total_bytes);
  if (const cudaError_t code = cudaSetDevice(current)) return code;
  std::strncpy(info->name, properties.name, sizeof info->name - 1);
  info->name[sizeof info->name - 1] = '\0';
  info->major = properties.major;
  info->minor = properties.minor;
  info->memory_bytes = static_cast<int64_t>(total_bytes);
  info->free_bytes = static_cast<int64_t>(free_bytes);
  return static_cast<int>(memory);
}

namespace {

const VeomniCudaTable kTable = {kVeomniCudaTableVersion,
                                error_text,
                                device_count,
                                device_info,
                                rms_norm,
                                rms_norm_backward,
                                swiglu,
                                swiglu_backward,
                                cross_entropy,
                                adamw,
                                sum_of_squares,
                                rope,
                                rope_backward,
                                attention,
                                attention_backward,
                                moe_sort,
                                moe_gather,
                                moe_combine,
                                moe_combine_backward,
                                embedding,
                                embedding_backward};

}  // namespace
}  // namespace veomni::cuda

extern "C" __attribute__((visibility("default"))) const VeomniCudaTable* veomni_cuda_table(
    int version) {
  return version == kVeomniCudaTableVersion ? &veomni::cuda::kTable : nullptr;
}
