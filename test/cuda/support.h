#pragma once
// Device arrays, the table under test, and comparisons with plain double loops on the host.

#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <dlfcn.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/cuda_table.h"

namespace veomni::test {

template <class Function>
Function* symbol(const char* name) {
  static void* library = dlopen(VEOMNI_CUDA_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) FAIL(dlerror());
  void* found = dlsym(library, name);
  if (found == nullptr) FAIL(dlerror());
  return reinterpret_cast<Function*>(found);
}

inline const VeomniCudaTable& table() {
  const auto get = symbol<const VeomniCudaTable*(int)>("veomni_cuda_table");
  const VeomniCudaTable* found = get(kVeomniCudaTableVersion);
  if (found == nullptr) FAIL("libveomni_cuda.so has another table version");
  return *found;
}

inline void check_call(int code) {
  if (code != 0) FAIL(table().error_text(code));
}

/// An array on the device, followed by a guard that kernels must leave alone.
template <class T>
class Device {
 public:
  explicit Device(size_t count) : count_(count) {
    check_call(cudaMalloc(&data_, bytes() + kGuard));
    check_call(cudaMemset(data_, 0xff, bytes() + kGuard));
  }
  explicit Device(const std::vector<T>& host) : Device(host.size()) {
    if (count_ > 0) check_call(cudaMemcpy(data_, host.data(), bytes(), cudaMemcpyHostToDevice));
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device() {
    std::vector<unsigned char> guard(kGuard);
    (void)cudaMemcpy(guard.data(), static_cast<char*>(data_) + bytes(), kGuard,
                     cudaMemcpyDeviceToHost);
    CHECK(std::count(guard.begin(), guard.end(), 0xff) == static_cast<long>(kGuard));
    (void)cudaFree(data_);
  }
  T* get() const { return static_cast<T*>(data_); }
  std::vector<T> host() const {
    std::vector<T> copy(count_);
    check_call(cudaDeviceSynchronize());
    if (count_ > 0) check_call(cudaMemcpy(copy.data(), data_, bytes(), cudaMemcpyDeviceToHost));
    return copy;
  }

 private:
  static constexpr size_t kGuard = 256;
  size_t bytes() const { return count_ * sizeof(T); }
  void* data_ = nullptr;
  size_t count_;
};

using Doubles = std::vector<double>;

/// Numbers of one storage type on the device; the host sees them as doubles, rounded as stored.
class Scalars {
 public:
  Scalars(int32_t scalar, size_t count) : scalar_(scalar), raw_(count * width()) {}
  Scalars(int32_t scalar, const Doubles& values) : scalar_(scalar), raw_(encode(scalar, values)) {}
  void* get() const { return raw_.get(); }
  Doubles host() const { return decode(scalar_, raw_.host()); }
  static Doubles decode(int32_t scalar, const std::vector<unsigned char>& raw);
  static std::vector<unsigned char> encode(int32_t scalar, const Doubles& values);

 private:
  size_t width() const { return scalar_ == kVeomniF32 ? 4 : 2; }
  int32_t scalar_;
  Device<unsigned char> raw_;
};

inline std::vector<unsigned char> Scalars::encode(int32_t scalar, const Doubles& values) {
  std::vector<unsigned char> raw(values.size() * (scalar == kVeomniF32 ? 4 : 2));
  for (size_t i = 0; i < values.size(); ++i) {
    const float value = static_cast<float>(values[i]);
    const __nv_bfloat16 half = __float2bfloat16(value);
    if (scalar == kVeomniF32) std::memcpy(&raw[4 * i], &value, 4);
    if (scalar == kVeomniBf16) std::memcpy(&raw[2 * i], &half, 2);
  }
  return raw;
}

inline Doubles Scalars::decode(int32_t scalar, const std::vector<unsigned char>& raw) {
  Doubles values(raw.size() / (scalar == kVeomniF32 ? 4 : 2));
  for (size_t i = 0; i < values.size(); ++i) {
    float value = 0;
    __nv_bfloat16 half;
    std::memcpy(&half, &raw[2 * i], 2);
    if (scalar == kVeomniF32) std::memcpy(&value, &raw[4 * i], 4);
    values[i] = scalar == kVeomniF32 ? value : __bfloat162float(half);
  }
  return values;
}

/// Normal numbers as the storage type holds them, the same on every run.
inline Doubles draw(int32_t scalar, size_t count, unsigned seed, double deviation = 1) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal(0, deviation);
  Doubles values(count);
  for (double& value : values) value = normal(engine);
  return Scalars::decode(scalar, Scalars::encode(scalar, values));
}

/// Largest |got − want| is at most tolerance · (1 + largest |want|).
inline void check_close(const Doubles& got, const Doubles& want, double tolerance) {
  REQUIRE(got.size() == want.size());
  double largest = 0, off = 0;
  size_t where = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    largest = std::max(largest, std::abs(want[i]));
    const double here = std::abs(got[i] - want[i]);
    if (!(here <= off)) off = here, where = i;
  }
  INFO("worst at " << where
                   << (want.empty() ? ""
                                    : ": got " + std::to_string(got[where]) + ", want " +
                                          std::to_string(want[where])));
  CHECK(off <= tolerance * (1 + largest));
}

inline Doubles doubles(const std::vector<float>& values) { return {values.begin(), values.end()}; }

struct Precision {
  int32_t scalar;
  double tolerance;
};
/// Both storage types; bf16 keeps 8 bits.
#define VEOMNI_PRECISIONS \
  Precision{kVeomniF32, 2e-6}, Precision { kVeomniBf16, 1e-2 }

}  // namespace veomni::test
