#include "modalities/loss_terms.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/error.h"

namespace veomni {

std::vector<LossTerm> loss_terms(const Recipe& recipe) {
  const bool learned = recipe.train.task_weights == "uncertainty";
  std::vector<LossTerm> terms;
  const auto add_part = [&](const PartConfig& part) {
    const auto weight = recipe.loss_weights.find(part.name);
    terms.push_back(
        {part.name, weight == recipe.loss_weights.end() ? 1.0 : weight->second, learned});
  };
  for (const auto& part : recipe.decoders) add_part(part);
  for (const auto& part : recipe.heads) add_part(part);
  if (recipe.base.num_experts > 0) {
    terms.push_back({"router_balance", recipe.base.router_aux_loss_coef, false});
    terms.push_back({"router_z", recipe.base.router_z_loss_coef, false});
  }
  return terms;
}

int64_t learned_terms(const std::vector<LossTerm>& terms) {
  return std::count_if(terms.begin(), terms.end(),
                       [](const LossTerm& term) { return term.learned; });
}

Objective::Objective(const std::vector<LossTerm>& terms, const ForwardOptions& options,
                     const at::Tensor& log_variances, at::Device device)
    : terms_(terms),
      options_(options),
      log_variances_(log_variances),
      sums_(at::zeros({static_cast<int64_t>(terms.size())},
                      at::TensorOptions(device).dtype(at::kDouble))) {}

size_t Objective::index(const std::string& term) const {
  for (size_t i = 0; i < terms_.size(); ++i) {
    if (terms_[i].name == term) return i;
  }
  throw Error("objective: no term '" + term + "'");
}

double Objective::scale(const std::string& term) const {
  const size_t i = index(term);
  const double count = i < options_.counts.size() ? options_.counts[i] : 1;
  return terms_[i].weight / std::max(1.0, count);
}

void Objective::add_to_total(size_t term, at::Tensor scaled) {
  if (!options_.train) return;
  if (terms_[term].learned && log_variances_.defined()) {
    // Learned terms come first in the list, so their index is the row of the parameter.
    scaled = scaled * at::exp(-log_variances_[static_cast<int64_t>(term)].to(at::kFloat));
  }
  total_ = total_.defined() ? total_ + scaled : scaled;
}

void Objective::add_scaled(const std::string& term, const at::Tensor& scaled,
                           const at::Tensor& losses) {
  const size_t i = index(term);
  sums_[static_cast<int64_t>(i)].add_(losses.sum(at::kDouble));
  add_to_total(i, scaled);
}

void Objective::add_losses(const std::string& term, const at::Tensor& losses) {
  const size_t i = index(term);
  sums_[static_cast<int64_t>(i)].add_(losses.detach().sum(at::kDouble));
  add_to_total(i, losses.sum() * scale(term));
}

void Objective::add(const std::string& term, const at::Tensor& sum, double count) {
  const size_t i = index(term);
  sums_[static_cast<int64_t>(i)].add_(sum.detach().to(at::kDouble));
  if (terms_[i].weight != 0) add_to_total(i, sum * (terms_[i].weight / std::max(1.0, count)));
}

void Objective::touch(const at::Tensor& value) {
  if (!options_.train || !value.defined()) return;
  const auto nothing = value.narrow(0, 0, 0).sum().to(at::kFloat);
  total_ = total_.defined() ? total_ + nothing : nothing;
}

at::Tensor Objective::total(const at::Tensor& hidden) {
  touch(hidden);
  if (log_variances_.defined() && options_.first_micro_batch) {
    total_ = total_ + 0.5 * log_variances_.to(at::kFloat).sum();
  }
  return total_;
}

}  // namespace veomni
