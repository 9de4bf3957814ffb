// Rows gathered, combined and scattered by index: experts' tokens and embeddings.
#include "kernels/cpu/vector.h"

namespace veomni::kernels::VEOMNI_ISA {
namespace {

template <class T>
void gather(const RowsArgs& args, int64_t begin, int64_t end) {
  const int64_t dim = args.dim;
  const uint64_t bytes = static_cast<uint64_t>(dim) * sizeof(T);
  for (int64_t r = begin; r < end; ++r)
    __builtin_memcpy(static_cast<T*>(args.target) + r * dim,
                     static_cast<const T*>(args.source) + args.index[r] * dim, bytes);
}

template <class T>
void combine(const RowsArgs& args, int64_t begin, int64_t end) {
  constexpr int64_t kBlock = 256;
  const int64_t dim = args.dim, choices = args.choices;
  float sums[kBlock];
  for (int64_t t = begin; t < end; ++t)
    for (int64_t d0 = 0; d0 < dim; d0 += kBlock) {
      const int64_t width = smaller(kBlock, dim - d0);
      for (int64_t d = 0; d < width; ++d) sums[d] = 0;
      for (int64_t j = 0; j < choices; ++j) {
        const T* row = static_cast<const T*>(args.source) + args.index[t * choices + j] * dim + d0;
        const float weight = args.weights ? args.weights[t * choices + j] : 1.f;
#pragma omp simd
        for (int64_t d = 0; d < width; ++d) sums[d] += weight * to_float(row[d]);
      }
      T* target = static_cast<T*>(args.target) + t * dim + d0;
#pragma omp simd
      for (int64_t d = 0; d < width; ++d) store(target + d, sums[d]);
    }
}

template <class T>
void scatter(const RowsArgs& args, int64_t tokens, int64_t begin, int64_t end) {
  for (int64_t t = 0; t < tokens; ++t) {
    const T* source = static_cast<const T*>(args.source) + t * args.dim;
    float* target = static_cast<float*>(args.target) + args.index[t] * args.dim;
#pragma omp simd
    for (int64_t d = begin; d < end; ++d) target[d] += to_float(source[d]);
  }
}

void gather_rows(const RowsArgs& args, int64_t begin, int64_t end) {
  args.scalar == Scalar::f32 ? gather<float>(args, begin, end) : gather<Bf16>(args, begin, end);
}
void combine_rows(const RowsArgs& args, int64_t begin, int64_t end) {
  args.scalar == Scalar::f32 ? combine<float>(args, begin, end) : combine<Bf16>(args, begin, end);
}
void scatter_add_columns(const RowsArgs& args, int64_t tokens, int64_t begin, int64_t end) {
  args.scalar == Scalar::f32 ? scatter<float>(args, tokens, begin, end)
                             : scatter<Bf16>(args, tokens, begin, end);
}

}  // namespace

void fill_rows(Loops& loops) {
  loops.gather_rows = gather_rows;
  loops.combine_rows = combine_rows;
  loops.scatter_add_columns = scatter_add_columns;
}

}  // namespace veomni::kernels::VEOMNI_ISA
