#include "core/train/evaluator.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/communicator.h"
#include "core/train/gather.h"
#include "core/train/metrics.h"
#include "core/train/model.h"
#include "core/train/token_losses.h"

namespace veomni {
namespace {

constexpr int64_t kChunkTokens = 8192;  ///< tokens a forward, about

/// What a source can need, from the recipe alone: the same on every rank, so that all run the same parts.
PartUse parts_of(const Recipe& recipe, const SourceConfig& source) {
  PartUse use{std::vector<bool>(recipe.encoders.size()), std::vector<bool>(recipe.heads.size()),
              false};
  for (const auto& segment : source.sample) {
    use.text = use.text || segment.learn;
    for (size_t e = 0; e < recipe.encoders.size(); ++e) {
      if (recipe.encoders[e].name == segment.part) use.encoders[e] = true;
    }
  }
  for (const auto& target : source.targets) {
    for (size_t h = 0; h < recipe.heads.size(); ++h) {
      if (recipe.heads[h].name == target.head) use.heads[h] = true;
    }
  }
  return use;
}

/// A group's text as a number that survives the trip in an f64 (53 bits); 0 stands for none.
double group_number(const std::string& group) {
  if (group.empty()) return 0;
  return static_cast<double>((std::hash<std::string>{}(group) & ((uint64_t{1} << 52) - 1)) + 1);
}

double score_of(const at::Tensor& scores, int64_t row) {
  if (scores.size(1) == 1) return scores[row][0].item<double>();
  return static_cast<double>(scores[row].argmax().item<int64_t>());
}

}  // namespace

struct Evaluator::Sums {
  at::Tensor losses;  ///< [terms] f64
  double text_loss = 0, text_weight = 0, text_correct = 0, text_count = 0;
  std::vector<std::vector<double>>
      rows;  ///< per head: score, label, weight, group, sample index, …
};

Json head_metrics(const PartConfig& head, const std::vector<Prediction>& predictions) {
  const auto optional = [](const std::optional<double>& value) {
    return value ? Json(*value) : Json(nullptr);
  };
  const auto& spec = specs().get(SpecRegistry::Kind::head, head.type);
  Json out = Json::object();
  for (const auto& entry : spec.metrics) {
    const auto metric = entry.get<std::string>();
    if (metric == "accuracy") {
      out[metric] = head.type == "classification" ? accuracy_of_classes(predictions)
                                                  : accuracy_at_half(predictions);
    } else if (metric == "auc") {
      out[metric] = optional(auc(predictions, head.type == "binary" ? 0.5 : 0.0));
      if (const auto grouped = grouped_auc(predictions)) out["gauc"] = *grouped;
    } else if (metric == "log_loss") {
      out[metric] = log_loss(predictions);
    } else if (metric == "rmse") {
      out[metric] = rmse(predictions);
    } else if (metric == "mae") {
      out[metric] = mae(predictions);
    } else if (metric == "calibration") {
      out[metric] = optional(calibration(predictions));
    }
  }
  return out;
}

Evaluator::Evaluator(const Recipe& recipe, const Dataset& data, Model& model,
                     EvaluationGroups groups)
    : recipe_(recipe), data_(data), model_(model), groups_(groups) {}

at::Tensor Evaluator::run_chunk(int32_t source, int64_t begin, const std::vector<Sample>& samples,
                                Sums& sums) {
  Pack pack;
  for (const auto& sample : samples) pack.append(sample);
  ForwardOptions options;
  options.use = parts_of(recipe_, recipe_.sources[source]);
  const Row packed({&pack}, {0}, {groups_.sequence.rank(), groups_.sequence.size()});
  const auto batch = make_batch(packed, options.use, data_, recipe_);
  const auto out = model_.forward(batch, options);
  sums.losses += out.sums.cpu();
  if (out.text_losses.defined()) {
    const auto learned = batch.labels != kIgnore;
    sums.text_loss += (out.text_losses.cpu() * batch.label_weights).sum(at::kDouble).item<double>();
    sums.text_weight += batch.label_weights.masked_select(learned).sum(at::kDouble).item<double>();
    sums.text_correct +=
        static_cast<double>(out.text_correct.cpu().masked_select(learned).sum().item<int64_t>());
    sums.text_count += static_cast<double>(batch.text_labels);
  }
  for (size_t h = 0; h < recipe_.heads.size(); ++h) {
    if (!options.use.heads[h]) continue;
    const auto scores = out.scores[h].cpu().to(at::kDouble);
    const auto& own = batch.heads[h].targets;
    for (size_t row = 0; row < own.size(); ++row) {
      const auto& target = pack.targets[own[row]];
      const double place =
          static_cast<double>(own[row]) / (1.0 + static_cast<double>(pack.targets.size()));
      sums.rows[h].insert(sums.rows[h].end(),
                          {score_of(scores, static_cast<int64_t>(row)), target.value, target.weight,
                           group_number(target.group), static_cast<double>(begin) + place});
    }
  }
  return out.text_losses;
}

/// The losses of all tokens, from the ranks that share them.
at::Tensor Evaluator::whole_row(const at::Tensor& losses) {
  if (groups_.sequence.size() == 1 || !losses.defined()) return losses;
  return gather_rows(groups_.sequence, losses.cpu().unsqueeze(1)).squeeze(1);
}

Json Evaluator::run_source(int32_t source, int64_t limit, TokenLosses* tokens) {
  int64_t size = data_.source_size(source, true);
  if (limit > 0) size = std::min(size, limit);
  Sums sums;
  sums.losses = at::zeros({static_cast<int64_t>(model_.losses().size())}, at::kDouble);
  sums.rows.resize(recipe_.heads.size());
  auto samples = data_.eval_samples(source, 0, std::min<int64_t>(1, size));
  const auto length = samples.empty() ? 1 : static_cast<int64_t>(samples[0].ids.size());
  const int64_t chunk = std::max<int64_t>(1, kChunkTokens / std::max<int64_t>(1, length));
  // Every rank runs the same number of forwards, the last ones perhaps on nothing.
  const int64_t stride = chunk * groups_.data.size();
  for (int64_t round = 0; round < size; round += stride) {
    const int64_t begin = std::min(size, round + chunk * groups_.data.rank());
    if (begin > 0) samples.clear();  // else the first has been read already
    const auto read = begin + static_cast<int64_t>(samples.size());
    for (auto& sample : data_.eval_samples(source, read, std::min(size, begin + chunk)))
      samples.push_back(std::move(sample));
    const auto losses = run_chunk(source, begin, samples, sums);
    if (tokens != nullptr) tokens->add(samples, whole_row(losses));
  }
  return report(source, sums);
}

namespace {

std::vector<Prediction> gather_predictions(Communicator& group, std::vector<double>& rows) {
  constexpr int64_t kColumns = 5;
  const auto mine = at::from_blob(
      rows.data(), {static_cast<int64_t>(rows.size()) / kColumns, kColumns}, at::kDouble);
  const auto all = gather_rows(group, mine).contiguous();
  // File order, so that sums of ties and of f64 do not depend on the number of ranks.
  const auto sorted = all.index_select(0, all.select(1, 4).argsort(/*stable=*/true)).contiguous();
  std::vector<Prediction> predictions(static_cast<size_t>(sorted.size(0)));
  const auto* at = sorted.const_data_ptr<double>();
  for (auto& p : predictions) {
    p = {at[0], at[1], at[2], at[3]};
    at += kColumns;
  }
  return predictions;
}

}  // namespace

Json Evaluator::report(int32_t source, Sums& sums) {
  auto totals =
      at::cat({sums.losses,
               at::tensor({sums.text_loss, sums.text_weight, sums.text_correct, sums.text_count},
                          at::kDouble)});
  if (groups_.world.size() > 1) groups_.world.all_reduce(totals);
  const auto* total = totals.const_data_ptr<double>();
  const auto terms = model_.losses();
  const auto* text = total + terms.size();
  const auto& targets = recipe_.sources[source].targets;
  const bool single = targets.size() + (text[3] > 0 ? 1 : 0) == 1;
  Json out = {{"loss", 0.0}};
  double objective = 0;
  const auto put = [&](const std::string& task, const std::string& metric, const Json& value) {
    (single ? out : out[task])[metric] = value;
  };
  if (text[3] > 0) {
    const double loss = text[0] / std::max(1e-12, text[1]);
    objective += terms[0].weight * loss;
    put(terms[0].name, "loss", loss);
    put(terms[0].name, "perplexity", std::exp(loss));
    put(terms[0].name, "accuracy", text[2] / text[3]);
  }
  for (size_t h = 0; h < recipe_.heads.size(); ++h) {
    const auto& head = recipe_.heads[h];
    if (!parts_of(recipe_, recipe_.sources[source]).heads[h]) continue;
    const auto predictions = gather_predictions(groups_.world, sums.rows[h]);
    double weight = 0;
    for (const auto& p : predictions) weight += p.weight;
    const size_t term = recipe_.decoders.size() + h;
    const double loss = total[term] / std::max(1e-12, weight);
    objective += terms[term].weight * loss;
    put(head.name, "loss", loss);
    const Json metrics = head_metrics(head, predictions);
    for (const auto& [metric, value] : metrics.items()) put(head.name, metric, value);
  }
  if (!single) out["loss"] = objective;
  return out;
}

Json Evaluator::run(int64_t limit, TokenLosses* tokens) {
  at::NoGradGuard no_gradient;
  Json out = Json::object();
  for (size_t s = 0; s < recipe_.sources.size(); ++s) {
    if (!recipe_.sources[s].eval) continue;
    out[recipe_.sources[s].name] = run_source(static_cast<int32_t>(s), limit, tokens);
  }
  return out;
}

}  // namespace veomni
