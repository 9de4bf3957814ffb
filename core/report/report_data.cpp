#include "core/report/report_data.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/checkpoint/file_io.h"
#include "core/error.h"
#include "core/report/history.h"
#include "core/report/json_lines.h"

namespace veomni {
namespace fs = std::filesystem;
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

Curve& curve_named(NamedCurves& curves, const std::string& name) {
  for (auto& [known, curve] : curves) {
    if (known == name) return curve;
  }
  return curves.emplace_back(name, Curve{}).second;
}

double number(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : kMissing;
}

double or_zero(double value) { return std::isnan(value) ? 0 : value; }

Json read_optional_json(const fs::path& path) {
  if (!path_exists(path)) return nullptr;
  auto value = Json::parse(read_text_file(path), nullptr, false, true);
  require<ConfigError>(!value.is_discarded(), "{}: is not valid JSON", path.string());
  return value;
}

void add_step(History& history, const Json& line) {
  const double step = or_zero(number(line, "step")), seconds = number(line, "step_seconds");
  history.loss.add(step, number(line, "loss"));
  for (const auto& [task, value] : flatten_numbers(line.value("losses", Json::object()))) {
    curve_named(history.losses, task).add(step, value);
  }
  history.lr.add(step, number(line, "lr"));
  history.grad_norm.add(step, number(line, "grad_norm"));
  history.speed.add(step, number(line, "tokens_per_second"));
  if (!(seconds > 0)) return;
  const double waiting = std::clamp(or_zero(number(line, "data_seconds")), 0.0, seconds);
  const double talking = std::clamp(or_zero(number(line, "comm_seconds")), 0.0, seconds - waiting);
  history.data.add(step, waiting);
  history.comm.add(step, talking);
  history.compute.add(step, seconds - waiting - talking);
}

/// How busy experts were.
void add_router(History& history, ReportData& data, const Json& line) {
  const auto router = line.find("router");
  if (router == line.end() || router->empty()) return;
  const double step = or_zero(number(line, "step"));
  double sum = 0, worst = 0;
  for (const auto& [layer, figures] : router->items()) {
    const double busiest = or_zero(number(figures, "max_over_mean"));
    sum += busiest;
    worst = std::max(worst, busiest);
  }
  history.busiest.add(step, sum / static_cast<double>(router->size()));
  history.busiest_of_worst.add(step, worst);
  if (!router->front().contains("loads")) return;
  data.expert_loads = *router;
  data.expert_step = static_cast<int64_t>(step);
}

Curve& evaluation_curve(History& history, const std::string& source, const std::string& metric) {
  for (auto& known : history.evaluations) {
    if (known.source == source && known.metric == metric) return known.curve;
  }
  return history.evaluations.emplace_back(EvaluationCurve{source, metric}).curve;
}

void add_evaluation(History& history, const Json& line) {
  const auto& sources = line.at("eval");
  for (const auto& [source, metrics] : sources.items()) {
    for (const auto& [metric, value] : flatten_numbers(metrics)) {
      evaluation_curve(history, source, metric).add(or_zero(number(line, "step")), value);
    }
  }
}

enum class Better { less, more, neither };

Better better(const std::string& metric) {
  const auto ends_in = [&](std::initializer_list<const char*> endings) {
    return std::any_of(endings.begin(), endings.end(),
                       [&](const char* ending) { return metric.ends_with(ending); });
  };
  if (ends_in({"loss", "perplexity", "rmse", "mae", "mse", "error", "ece"})) return Better::less;
  if (ends_in({"accuracy", "auc", "f1", "precision", "recall", "ndcg", "correlation"}))
    return Better::more;
  return Better::neither;
}

EvaluationRow summarize(const EvaluationCurve& evaluation) {
  const auto& curve = evaluation.curve;
  EvaluationRow row{.source = evaluation.source, .metric = evaluation.metric};
  row.final_value = curve.values.back();
  row.final_step = static_cast<int64_t>(curve.steps.back());
  const auto kind = better(row.metric);
  for (size_t i = 0; i < curve.values.size() && kind != Better::neither; ++i) {
    const double value = curve.values[i];
    const bool wins =
        !row.has_best || (kind == Better::less ? value < row.best_value : value > row.best_value);
    if (std::isnan(value) || !wins) continue;
    row.best_value = value;
    row.best_step = static_cast<int64_t>(curve.steps[i]);
    row.has_best = true;
  }
  return row;
}

double median(std::vector<double> values) {
  std::erase_if(values, [](double v) { return !std::isfinite(v); });
  if (values.empty()) return kMissing;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

Curve thinned(const Curve& curve, size_t limit) {
  const size_t count = curve.steps.size();
  if (count <= limit) return curve;
  Curve result;
  const size_t stretches = limit / 2;
  for (size_t i = 0; i < stretches; ++i) {
    size_t least = i * count / stretches, greatest = least;
    for (size_t k = least; k < (i + 1) * count / stretches; ++k) {
      if (curve.values[k] < curve.values[least]) least = k;
      if (curve.values[k] > curve.values[greatest]) greatest = k;
    }
    result.add(curve.steps[std::min(least, greatest)], curve.values[std::min(least, greatest)]);
    if (least != greatest)
      result.add(curve.steps[std::max(least, greatest)], curve.values[std::max(least, greatest)]);
  }
  return result;
}

Curve smoothed(const Curve& curve, double window) {
  const double keep = 1 - 2 / (window + 1);
  const size_t count = curve.steps.size();
  std::vector<double> sums(count), weights(count);
  const auto pass = [&](bool backwards) {
    double sum = 0, weight = 0;
    for (size_t k = 0; k < count; ++k) {
      const size_t i = backwards ? count - 1 - k : k;
      sums[i] += keep * sum;  // the point itself is added once, below
      weights[i] += keep * weight;
      sum *= keep;
      weight *= keep;
      if (!std::isfinite(curve.values[i])) continue;
      sum += curve.values[i];
      weight += 1;
    }
  };
  pass(false);
  pass(true);
  Curve result;
  for (size_t i = 0; i < count; ++i) {
    const double value = curve.values[i];
    result.add(curve.steps[i],
               std::isfinite(value) ? (sums[i] + value) / (weights[i] + 1) : kMissing);
  }
  return result;
}

ReportData read_report_data(const fs::path& run) {
  ReportData data;
  data.recipe = read_optional_json(run / "recipe.json");
  data.plan = read_optional_json(run / "plan.json");
  data.samples = read_json_lines(run / "samples.jsonl");
  const auto named = data.recipe.is_object() ? data.recipe.find("name") : data.recipe.end();
  data.name = named != data.recipe.end() && named->is_string()
                  ? named->get<std::string>()
                  : fs::weakly_canonical(run).filename().string();
  History history;
  for (const auto& line : read_json_lines(run / "metrics.jsonl")) {
    if (line.contains("eval")) add_evaluation(history, line);
    if (!line.contains("loss")) continue;
    add_step(history, line);
    add_router(history, data, line);
    if (line.contains("comm_units")) data.comm_units = line["comm_units"];
    data.last_step = line;
    data.steps = std::max(data.steps, static_cast<int64_t>(or_zero(number(line, "step"))));
    data.training_seconds += or_zero(number(line, "step_seconds"));
    data.tokens += or_zero(number(line, "tokens"));
    data.peak_memory_bytes =
        std::max(data.peak_memory_bytes, or_zero(number(line, "peak_memory_bytes")));
  }
  data.median_tokens_per_second = median(history.speed.values);
  data.charts = make_charts(history, data.recipe);
  for (const auto& curve : history.evaluations) data.evaluation.push_back(summarize(curve));
  return data;
}

}  // namespace veomni
