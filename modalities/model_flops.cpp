#include "modalities/model_flops.h"

#include <algorithm>

#include "modalities/base/block_spec.h"
#include "parallel/fsdp/unit.h"
#include "parallel/table.h"

namespace veomni {

bool trains(const std::vector<Unit*>& units, const std::vector<Table*>& tables) {
  const auto trained = [](const ParameterSpec& parameter) { return !parameter.frozen; };
  for (const auto* unit : units)
    if (std::any_of(unit->parameters().begin(), unit->parameters().end(), trained)) return true;
  return std::any_of(tables.begin(), tables.end(), [](const Table* t) { return !t->frozen(); });
}

ModelFlops::ModelFlops(const BaseConfig& base, const std::vector<UnitSpec>& specs,
                       const std::vector<Unit*>& units, bool before) {
  const auto width = static_cast<double>(base.num_attention_heads * base.head_dim);
  const auto passes = [&before](bool own) { return 1 + (before ? 1 : 0) + (own ? 1 : 0); };
  window_ = static_cast<double>(base.sliding_window);
  const bool root = trains({units[0]}, {});
  int64_t layer = 0;
  before = before || root;
  for (size_t u = 1; u < units.size(); ++u) {
    const bool own = trains({units[u]}, {});
    a_token_ += specs[u].flops_per_token * passes(own);
    before = before || own;
    if (!specs[u].attends) continue;
    const bool slides = block_config(base, layer++).window > 0;
    // Two products of 2·T²·N·H, half of it masked.
    (slides ? a_window_pair_ : a_pair_) += 2 * width * (before ? 3 : 1);
  }
  a_token_ += specs[0].flops_per_token * passes(root);
}

double ModelFlops::of(const Batch& batch) const {
  double flops = a_token_ * static_cast<double>(batch.token_count());
  const auto bounds = batch.cu_seqlens.const_data_ptr<int32_t>();
  for (int64_t s = 0; s + 1 < batch.cu_seqlens.size(0); ++s) {
    const auto length = static_cast<double>(bounds[s + 1] - bounds[s]);
    const double hidden =
        std::max(0.0, length - window_);  // pairs that no window reaches: its square
    flops += (a_pair_ * length * length + a_window_pair_ * (length * length - hidden * hidden)) /
             batch.place.size;
  }
  return flops;
}

}  // namespace veomni
