// Which charts a report has and which curves stand in them.
#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "core/report/history.h"

namespace veomni {
namespace {

constexpr size_t kPoints = 1000;  // of a curve: about what a screen can show

bool has_values(const Curve& curve) {
  return std::any_of(curve.values.begin(), curve.values.end(),
                     [](double v) { return std::isfinite(v); });
}

Series line_of(const std::string& name, const Curve& curve, bool smooth) {
  Series series{.name = name};
  const double window = std::clamp(static_cast<double>(curve.steps.size()) / 40, 1.0, 200.0);
  if (smooth) {
    series.raw = thinned(curve, kPoints);
    series.smooth = thinned(smoothed(curve, window), kPoints);
  } else {
    series.smooth = thinned(curve, kPoints);
  }
  return series;
}

Series points_of(const std::string& name, const Curve& curve) {
  return {.name = name, .raw = thinned(curve, kPoints), .points_only = true};
}

/// Which tasks a source trains, as the recipe says: the parts it learns and the heads it has
/// targets for.
std::set<std::string> tasks_of(const Json& source) {
  std::set<std::string> tasks;
  for (const auto& segment : source.value("sample", Json::array())) {
    if (segment.is_object() && segment.value("learn", Json(false)) == true)
      tasks.insert(segment.value("part", "text"));
  }
  const auto targets = source.value("targets", Json::object());
  for (const auto& [head, field] : targets.items()) tasks.insert(head);
  return tasks;
}

/// Sources whose only task is `task`: their evaluation loss is that task's.
std::set<std::string> sources_of_only(const Json& recipe, const std::string& task) {
  std::set<std::string> names;
  if (!recipe.is_object() || !recipe.contains("data") || !recipe["data"].is_object()) return names;
  for (const auto& source : recipe["data"].value("sources", Json::array())) {
    if (source.is_object() && tasks_of(source) == std::set{task})
      names.insert(source.value("name", ""));
  }
  return names;
}

/// "loss" where the source has this task alone; else task/loss, task_loss, losses/task.
bool is_loss_of(const EvaluationCurve& evaluation, const std::string& task,
                const std::set<std::string>& sources) {
  const auto& metric = evaluation.metric;
  if (metric == "loss") return sources.count(evaluation.source) > 0;
  return metric == task + "/loss" || metric == task + "_loss" || metric == "losses/" + task;
}

void add_loss_charts(const History& history, const Json& recipe, std::vector<Chart>& charts) {
  Chart total{.title = "Loss"};
  total.series.push_back(line_of("all tasks", history.loss, true));
  if (history.losses.size() != 1) charts.push_back(std::move(total));
  for (const auto& [task, curve] : history.losses) {
    Chart chart{.title = "Loss: " + task};
    chart.series.push_back(line_of("training", curve, true));
    const auto sources = sources_of_only(recipe, task);
    for (const auto& evaluation : history.evaluations) {
      if (!is_loss_of(evaluation, task, sources)) continue;
      chart.series.push_back(points_of("evaluation: " + evaluation.source, evaluation.curve));
    }
    charts.push_back(std::move(chart));
  }
}

/// One chart a metric (losses have theirs already), one series a source.
void add_evaluation_charts(const History& history, std::vector<Chart>& charts) {
  std::vector<Chart> made;
  for (const auto& [source, metric, curve] : history.evaluations) {
    const bool is_loss =
        metric == "loss" || metric.ends_with("/loss") || metric.starts_with("losses/");
    if (is_loss || curve.steps.size() < 2) continue;
    const auto title = "Evaluation: " + metric;
    auto found =
        std::find_if(made.begin(), made.end(), [&](const Chart& c) { return c.title == title; });
    if (found == made.end()) found = made.insert(made.end(), Chart{.title = title});
    found->series.push_back(points_of(source, curve));
  }
  std::move(made.begin(), made.end(), std::back_inserter(charts));
}

/// Where each stretch of steps spent its time, in percent.
Chart time_chart(const History& history) {
  Chart chart{.title = "Time of a step", .unit = "%", .shares = true};
  chart.series = {{.name = "compute"}, {.name = "communication"}, {.name = "data"}};
  const size_t count = history.data.steps.size(), stretches = std::min<size_t>(count, 200);
  for (size_t i = 0; i < stretches; ++i) {
    const auto begin = static_cast<std::ptrdiff_t>(i * count / stretches);
    const auto end = static_cast<std::ptrdiff_t>((i + 1) * count / stretches);
    std::array<double, 3> sums{};
    const std::array curves{&history.compute, &history.comm, &history.data};
    for (size_t k = 0; k < 3; ++k) {
      const auto values = curves[k]->values.begin();
      for (auto value = values + begin; value != values + end; ++value) sums[k] += *value;
    }
    const double all = sums[0] + sums[1] + sums[2];
    for (size_t k = 0; k < 3; ++k) {
      chart.series[k].smooth.add(history.data.steps[static_cast<size_t>(end - 1)],
                                 100 * sums[k] / all);
    }
  }
  return chart;
}

}  // namespace

std::vector<Chart> make_charts(const History& history, const Json& recipe) {
  std::vector<Chart> charts;
  if (has_values(history.loss)) add_loss_charts(history, recipe, charts);
  add_evaluation_charts(history, charts);
  const auto add = [&](const char* title, const char* unit, const Curve& curve, bool smooth) {
    if (has_values(curve)) charts.push_back({title, unit, false, {line_of(title, curve, smooth)}});
  };
  add("Learning rate", "", history.lr, false);
  add("Gradient norm", "", history.grad_norm, true);
  add("Throughput", "tokens/s", history.speed, true);
  if (has_values(history.busiest))
    charts.push_back({"Busiest expert, load over the mean",
                      "",
                      false,
                      {line_of("mean of layers", history.busiest, true),
                       line_of("worst layer", history.busiest_of_worst, true)}});
  if (!history.data.empty()) charts.push_back(time_chart(history));
  return charts;
}

}  // namespace veomni
