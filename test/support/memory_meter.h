#pragma once
// Bytes of host tensors that threads have made and that still live, by LibTorch's own reports.

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <atomic>
#include <memory>

namespace veomni::test {

/// Of all threads that count into it: a tensor may be freed by another one than made it.
struct MemoryCounts : c10::MemoryReportingInfoBase {
  void reportMemoryUsage(void*, int64_t size, size_t, size_t, c10::Device) override {
    const int64_t now = live += size;
    for (int64_t most = peak; now > most && !peak.compare_exchange_weak(most, now);) {
    }
  }
  bool memoryProfilingEnabled() const override { return true; }
  std::atomic<int64_t> live = 0, peak = 0;
};

/// This thread counts while it lives.
class MemoryMeter {
 public:
  explicit MemoryMeter(const std::shared_ptr<MemoryCounts>& counts)
      : guard_(c10::DebugInfoKind::PROFILER_STATE, counts) {}

 private:
  c10::DebugInfoGuard guard_;
};

}  // namespace veomni::test
