// f32 GFLOP/s of a loop of nothing but fused multiply-adds, on all OpenMP threads: what the processor's vector units can do.
// bench.py compiles it for this machine and runs it.
#include <omp.h>

#include <chrono>
#include <cstdio>
#include <initializer_list>

#ifdef __AVX512F__
constexpr int kBytes = 64;
#else
constexpr int kBytes = 32;
#endif
using Vector = float __attribute__((vector_size(kBytes)));
constexpr int kChains =
    12;  // more than latency × units of any processor so far, fewer than registers
constexpr long kRounds = 100'000'000;

float chains(long rounds) {
  const Vector x = Vector{} + 0.999F, y = Vector{} + 1e-3F;
  Vector sum[kChains];
  for (int c = 0; c < kChains; ++c)
    sum[c] = x * static_cast<float>(c);  // unlike: equal ones would be computed once
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (Vector& chain : sum) chain = chain * x + y;
  }
  float all = 0;
  for (const Vector& chain : sum) all += chain[0];
  return all;
}

int main() {
  double seconds = 0;
  float kept = 0;
  for (const long rounds : {kRounds / 10, kRounds}) {  // the first one wakes the processor up
    const auto start = std::chrono::steady_clock::now();
#pragma omp parallel reduction(+ : kept)
    kept += chains(rounds);
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  const double flops = 2.0 * kChains * (kBytes / 4) * kRounds * omp_get_max_threads();
  std::printf("%.1f\n", kept > 0 ? flops / seconds / 1e9 : 0);
}
