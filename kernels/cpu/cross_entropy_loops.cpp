// Softmax cross-entropy of rows of logits, which become their own gradient in place.
#include "kernels/cpu/vector.h"

namespace veomni::kernels::VEOMNI_ISA {
namespace {

/// Index of the first maximum is the label: no larger logit anywhere, no equal one before it.
bool is_first_maximum(const float* row, int64_t label, float top) {
  if (row[label] != top) return false;
  for (int64_t v = 0; v < label; ++v)
    if (row[v] == top) return false;
  return true;
}

void clear_row(const CrossEntropyArgs& args, int64_t r) {
  args.losses[r] = 0;
  if (args.correct) args.correct[r] = 0;
  if (args.gradient)
    for (int64_t v = 0; v < args.vocabulary; ++v) args.logits[r * args.vocabulary + v] = 0;
}

void cross_entropy_row(const CrossEntropyArgs& args, int64_t r) {
  const int64_t vocabulary = args.vocabulary, label = args.labels[r];
  float* row = args.logits + r * vocabulary;
  float top = row[0];
#pragma omp simd reduction(max : top)
  for (int64_t v = 0; v < vocabulary; ++v) top = row[v] > top ? row[v] : top;
  if (args.correct) args.correct[r] = is_first_maximum(row, label, top);
  const float target = row[label];
  float sum = 0;
  if (!args.gradient) {
#pragma omp simd reduction(+ : sum)
    for (int64_t v = 0; v < vocabulary; ++v) sum += exponential(row[v] - top);
    args.losses[r] = __builtin_logf(sum) + top - target;
    return;
  }
#pragma omp simd reduction(+ : sum)
  for (int64_t v = 0; v < vocabulary; ++v) {
    row[v] = exponential(row[v] - top);
    sum += row[v];
  }
  args.losses[r] = __builtin_logf(sum) + top - target;
  const float weight = args.scale * (args.label_weights ? args.label_weights[r] : 1.f);
  const float factor = weight / sum;
#pragma omp simd
  for (int64_t v = 0; v < vocabulary; ++v) row[v] *= factor;
  row[label] -= weight;
}

void cross_entropy(const CrossEntropyArgs& args, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r)
    args.labels[r] < 0 ? clear_row(args, r) : cross_entropy_row(args, r);
}

}  // namespace

void fill_cross_entropy(Loops& loops) { loops.cross_entropy = cross_entropy; }

}  // namespace veomni::kernels::VEOMNI_ISA
