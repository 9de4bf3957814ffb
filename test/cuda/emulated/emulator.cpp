// Fibers for CUDA threads: see cuda_runtime.h. Blocks take turns running their threads forwards,
// backwards and shuffled, so that a missing barrier shows as a wrong result in one of the orders; a
// barrier that some threads never reach aborts.
#include <cuda_runtime.h>
#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <random>
#include <vector>

namespace emulated {

uint3 thread_index, block_index;
dim3 block_size, grid_size;
unsigned char* dynamic_shared = nullptr;

namespace {

constexpr size_t kStackBytes = 128 * 1024;

enum class State { ready, at_block, at_warp, done };

struct Fiber {
  ucontext_t context;
  std::vector<unsigned char> stack;
  State state = State::ready;
  bool entered = false;
  jmp_buf place;
};

std::vector<Fiber> fibers;
jmp_buf scheduler;
unsigned running = 0;
const std::function<void()>* body = nullptr;
uint64_t lanes[32][32];  // [warp][lane]

void yield(State state) {
  Fiber& fiber = fibers[running];
  fiber.state = state;
  if (_setjmp(fiber.place) == 0) _longjmp(scheduler, 1);
}

void enter() {
  (*body)();
  yield(State::done);
}

/// A context is only for the first entry: swapcontext makes two system calls, _longjmp none.
void resume(unsigned thread) {
  running = thread;
  thread_index = {thread, 0, 0};
  if (_setjmp(scheduler) != 0) return;
  Fiber& fiber = fibers[running];
  if (fiber.entered) _longjmp(fiber.place, 1);
  fiber.entered = true;
  setcontext(&fiber.context);
}

/// Frees threads first … last − 1 if all of them wait at the same kind of barrier.
bool release(unsigned first, unsigned last, State at) {
  for (unsigned t = first; t < last; ++t) {
    if (fibers[t].state != at) return false;
  }
  for (unsigned t = first; t < last; ++t) fibers[t].state = State::ready;
  return true;
}

void start(unsigned threads) {
  if (fibers.size() < threads) fibers.resize(threads);
  for (unsigned t = 0; t < threads; ++t) {
    Fiber& fiber = fibers[t];
    fiber.stack.resize(kStackBytes);
    fiber.state = State::ready;
    fiber.entered = false;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, enter, 0);
  }
}

/// Runs one warp as far as it comes without the others, its threads in the order of `order`.
bool run_warp(unsigned warp, const std::vector<unsigned>& order) {
  const unsigned first = warp * 32;
  bool progress = false;
  for (bool again = true; again;) {
    for (const unsigned t : order) {
      if (t / 32 != warp || fibers[t].state != State::ready) continue;
      resume(t);
      progress = true;
    }
    again = release(first, first + 32, State::at_warp);
  }
  return progress;
}

/// Each warp in turn runs up to the next barrier of the block: the furthest that warps can drift
/// apart.
void run_block(const std::vector<unsigned>& order) {
  const unsigned threads = static_cast<unsigned>(order.size());
  start(threads);
  const auto done = [](const Fiber& fiber) { return fiber.state == State::done; };
  while (!std::all_of(fibers.begin(), fibers.begin() + threads, done)) {
    bool progress = false;
    for (const unsigned t : order) {
      if (fibers[t].state == State::ready) progress = run_warp(t / 32, order) || progress;
    }
    progress = release(0, threads, State::at_block) || progress;
    if (!progress) {
      std::fputs("emulator: threads wait at a barrier that others never reach\n", stderr);
      std::abort();
    }
  }
}

}  // namespace

void launch(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& thread) {
  if (block.x % 32 != 0 || block.x > 1024 || grid.x == 0 || grid.y == 0 || grid.y > 65535) {
    std::fputs("emulator: a launch that a GPU would refuse\n", stderr);
    std::abort();
  }
  std::vector<unsigned char> shared(shared_bytes);
  std::vector<unsigned> order(block.x);
  std::iota(order.begin(), order.end(), 0u);
  std::mt19937 engine(1);
  body = &thread, block_size = block, grid_size = grid, dynamic_shared = shared.data();
  for (unsigned y = 0; y < grid.y; ++y) {
    for (unsigned x = 0; x < grid.x; ++x) {
      std::fill(shared.begin(), shared.end(), static_cast<unsigned char>(0xff));
      block_index = {x, y, 0};
      run_block(order);
      if ((x + y) % 3 == 1)
        std::shuffle(order.begin(), order.end(), engine);
      else
        std::reverse(order.begin(), order.end());
    }
  }
}

void wait_for_block() { yield(State::at_block); }
void wait_for_warp() { yield(State::at_warp); }

const uint64_t* exchange_lanes(uint64_t mine) {
  const unsigned warp = running / 32;
  lanes[warp][running % 32] = mine;
  wait_for_warp();
  return lanes[warp];
}

void release_lanes() { wait_for_warp(); }

}  // namespace emulated
