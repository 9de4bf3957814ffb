#include "kernels/cpu/phases.h"

#include <ATen/Parallel.h>
#include <omp.h>
#include <torch/types.h>

#include <algorithm>
#include <atomic>

namespace veomni::kernels {
namespace {

/// The items of one phase that a thread takes first.
struct alignas(64) Share {
  std::atomic<int64_t> next{0};
  int64_t end = 0;
};

/// Shares of every phase and thread.
class Shares {
 public:
  Shares(const std::vector<Phase>& phases, int64_t threads)
      : threads_(threads), shares_(phases.size() * static_cast<size_t>(threads)) {
    for (size_t p = 0; p < phases.size(); ++p)
      for (int64_t t = 0; t < threads; ++t) {
        at(p, t).next = phases[p].items * t / threads;
        at(p, t).end = phases[p].items * (t + 1) / threads;
      }
  }

  void run(const Phase& phase, size_t p, int64_t thread, float* scratch) {
    for (int64_t t = 0; t < threads_; ++t) {
      Share& share = at(p, (thread + t) % threads_);
      for (int64_t item = share.next++; item < share.end; item = share.next++)
        phase.body(item, scratch);
    }
  }

 private:
  Share& at(size_t phase, int64_t thread) {
    return shares_[phase * static_cast<size_t>(threads_) + static_cast<size_t>(thread)];
  }
  int64_t threads_;
  std::vector<Share> shares_;
};

}  // namespace

void run_phases(const std::vector<Phase>& phases, int64_t scratch) {
  int64_t most = 1;
  for (const Phase& phase : phases) most = std::max(most, phase.items);
  const int64_t threads = omp_in_parallel() ? 1 : std::min<int64_t>(at::get_num_threads(), most);
  const int64_t room = (scratch + 63) / 64 * 64;
  const at::Tensor memory = at::empty({threads * room + 16}, at::kFloat);
  const auto first = reinterpret_cast<uintptr_t>(memory.data_ptr<float>());
  float* aligned = memory.data_ptr<float>() + ((64 - first % 64) % 64) / sizeof(float);
  Shares shares(phases, threads);
  // A region of our own: at::parallel_for has no barrier. More threads than were asked for never come; fewer would
  // leave shares to the others, so the sum of the work is the same.
#pragma omp parallel num_threads(static_cast <int>(threads)) if (threads > 1)
  {
    const int64_t thread = omp_get_thread_num();
    for (size_t p = 0; p < phases.size(); ++p) {
      shares.run(phases[p], p, thread, aligned + thread * room);
#pragma omp barrier
    }
  }
}

}  // namespace veomni::kernels
