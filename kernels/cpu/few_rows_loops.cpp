// Products of few rows with a weight, where copying the weight into panels would cost more than the
// product: dot products of contiguous rows. Each element is summed in the same order whatever the
// other rows are.
#include "kernels/cpu/generation_loops.h"
#include "kernels/cpu/wide.h"

namespace veomni::kernels::VEOMNI_ISA {
namespace {

constexpr int kOutputs = 4;
constexpr int kRowBlock = kLanes == 16 ? 4 : 2;  // accumulators: kOutputs × kRowBlock vectors

/// y[r, o] for kRows rows of x and kCols of the weight.
template <int kRows, int kCols, class T>
[[gnu::noinline]] void dots(const FewRowsArgs& args, const T* x, const T* weight, T* y) {
  Vec sums[kRows][kCols] = {};
  const int64_t depth = args.depth, whole = depth / kLanes * kLanes;
  for (int64_t k = 0; k < whole; k += kLanes) {
    Vec columns[kCols];
#pragma GCC unroll 4
    for (int c = 0; c < kCols; ++c) columns[c] = load_wide(weight + c * depth + k);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const Vec row = load_wide(x + r * depth + k);
#pragma GCC unroll 4
      for (int c = 0; c < kCols; ++c) sums[r][c] += row * columns[c];
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int c = 0; c < kCols; ++c) {
      float sum = reduce(sums[r][c], [](Vec a, Vec b) { return a + b; });
      for (int64_t k = whole; k < depth; ++k)
        sum += to_float(x[r * depth + k]) * to_float(weight[c * depth + k]);
      T* out = y + r * args.cols + c;
      store(out, args.add ? sum + to_float(*out) : sum);
    }
}

template <int kCols, class T>
void all_rows(const FewRowsArgs& args, int64_t col) {
  const T *x = static_cast<const T*>(args.x), *weight = static_cast<const T*>(args.weight);
  T* y = static_cast<T*>(args.y) + col;
  int64_t r = 0;
  for (; r + kRowBlock <= args.rows; r += kRowBlock)
    dots<kRowBlock, kCols>(args, x + r * args.depth, weight + col * args.depth, y + r * args.cols);
  for (; r < args.rows; ++r)
    dots<1, kCols>(args, x + r * args.depth, weight + col * args.depth, y + r * args.cols);
}

template <class T>
void run(const FewRowsArgs& args, int64_t begin, int64_t end) {
  int64_t col = begin;
  for (; col + kOutputs <= end; col += kOutputs) all_rows<kOutputs, T>(args, col);
  for (; col < end; ++col) all_rows<1, T>(args, col);
}

void few_rows(const FewRowsArgs& args, int64_t begin, int64_t end) {
  args.scalar == Scalar::f32 ? run<float>(args, begin, end) : run<Bf16>(args, begin, end);
}

}  // namespace

void fill_few_rows(GenerationLoops& loops) { loops.few_rows = few_rows; }

}  // namespace veomni::kernels::VEOMNI_ISA
