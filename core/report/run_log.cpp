#include "core/report/run_log.h"

#include <cmath>
#include <optional>

#include "core/checkpoint/file_io.h"
#include "core/error.h"
#include "core/log.h"
#include "core/report/json_lines.h"
#include "core/report/tensorboard.h"
#include "core/report/terminal.h"

namespace veomni {
namespace {

/// The curves of one step: loss, loss/<task>, grad_norm, lr, tokens_per_second, router/<layer>/<figure>.
std::vector<Scalar> step_scalars(const Json& metrics) {
  std::vector<Scalar> scalars;
  const auto add = [&](const std::string& tag, const Json& value) {
    for (const auto& [path, number] : flatten_numbers(value)) {
      scalars.push_back({path.empty() ? tag : tag + "/" + path, number});
    }
  };
  for (const char* key : {"loss", "grad_norm", "lr", "tokens_per_second"}) {
    if (metrics.contains(key)) add(key, metrics.at(key));
  }
  if (metrics.contains("losses")) add("loss", metrics.at("losses"));
  if (metrics.contains("router")) add("router", metrics.at("router"));
  return scalars;
}

int64_t step_in(const Json& metrics) {
  const auto step = metrics.find("step");
  require<Error>(step != metrics.end() && step->is_number_integer(),
                 "run log: metrics without an integer 'step'");
  return step->get<int64_t>();
}

}  // namespace

struct RunLog::State {
  RunLogSettings settings;
  std::optional<Terminal> terminal;
  JsonLines metrics, samples;
  EventWriter events;
  bool closed = false;

  explicit State(const RunLogSettings& s)
      : settings(s),
        metrics(s.run / "metrics.jsonl", s.first_step),
        samples(s.run / "samples.jsonl", s.first_step),
        events(s.run / "tensorboard", s.first_step) {
    if (s.show != Show::nothing)
      terminal.emplace(s.show == Show::json ? stderr : stdout, s.last_step);
  }

  void print_line(const std::string& line) {
    if (terminal) terminal->line(line);
  }

  void print_json(const std::string& line) {
    if (settings.show != Show::json) return;
    std::fputs((line + "\n").c_str(), stdout);
    std::fflush(stdout);
  }
};

RunLog::RunLog(const RunLogSettings& settings) {
  make_directories(settings.run);
  state_ = std::make_unique<State>(settings);
}

RunLog::~RunLog() {
  try {
    close();
  } catch (const std::exception& error) {
    log(LogLevel::error, "{}", error.what());
  }
}

void RunLog::step(const Json& metrics) {
  const int64_t step = step_in(metrics);
  state_->print_json(state_->metrics.append(metrics));
  state_->events.scalars(step, step_scalars(metrics));
  if (state_->terminal) state_->terminal->step(metrics);
}

void RunLog::evaluation(const Json& metrics) {
  const int64_t step = step_in(metrics);
  state_->print_json(state_->metrics.append(metrics));
  std::vector<Scalar> scalars;
  for (const auto& [path, number] : flatten_numbers(metrics.value("eval", Json::object()))) {
    scalars.push_back({"eval/" + path, number});
  }
  state_->events.scalars(step, scalars);
  state_->print_line(evaluation_table(metrics));
}

void RunLog::sample(int64_t step, const std::string& title, const std::string& text) {
  state_->print_json(state_->samples.append({{"step", step}, {"title", title}, {"text", text}}));
  state_->events.text(step, "sample/" + printable_text(title, false), printable_text(text, true));
  state_->print_line(fmt::format("sample at step {}: {}\n{}\n", step, printable_text(title, false),
                                 printable_text(text, true)));
}

void RunLog::note(const std::string& line) { state_->print_line(printable_text(line, true)); }

void RunLog::close() {
  if (state_->closed) return;
  state_->closed = true;
  if (state_->terminal) state_->terminal->finish();
  write_report(state_->settings.run);
}

}  // namespace veomni
