#include <ATen/ATen.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <functional>

#include "cmd/engine/flat_math.h"
#include "cmd/engine/request.h"
#include "cmd/engine/run_directory.h"
#include "cmd/engine/session.h"
#include "cmd/engine/start_weights.h"
#include "core/error.h"
#include "core/report/run_log.h"
#include "core/train/epochs.h"
#include "core/train/gather.h"
#include "core/train/generate.h"
#include "core/train/resume.h"
#include "core/train/stop.h"
#include "core/train/trainer.h"
#include "modalities/import.h"

namespace veomni {
namespace {

/// Flop/s of a large matrix product on this rank's threads or GPU, in the type that the model computes in: what mfu is a
/// share of. Of random numbers: zeros and ones take less power, and a GPU's clock shows it.
double measure_peak_flops(const Device& device, const std::string& precision) {
  const int64_t side = device.cuda ? 8192 : 768;
  const bool bf16 = device.cuda && precision == "bf16";
  const auto options = at::TensorOptions(device.cuda ? at::kCUDA : at::kCPU)
                           .dtype(bf16 ? at::kBFloat16 : at::kFloat);
  const auto a = at::rand({side, side}, options), b = at::rand({side, side}, options);
  double best = 0;
  for (int i = 0; i < 4; ++i) {
    synchronize(device);
    const auto start = std::chrono::steady_clock::now();
    at::mm(a, b);
    synchronize(device);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, 2.0 * std::pow(static_cast<double>(side), 3) / seconds);
  }
  return best;
}

std::function<int64_t()> peak_bytes_of(const Device& device) {
  if (!device.cuda) return {};
  return [device] { return peak_device_bytes(device); };
}

bool learns_text(const Recipe& recipe) {
  return !recipe.decoders.empty() && !recipe.tokenizer.empty();
}

/// Every rank takes part; rank 0 shows the text.
void show_sample(Session& session, const Recipe& recipe, int64_t step, RunLog* log) {
  if (!learns_text(recipe) || session.data().tokenizer() == nullptr) return;
  const Tokenizer& tokenizer = *session.data().tokenizer();
  const auto prompt = tokenizer.encode("\n");
  if (prompt.empty()) return;
  const GenerationInput input{session.model(),
                              &tokenizer,
                              session.world(),
                              {.max_new_tokens = 240,
                               .temperature = 0.8,
                               .vocab_size = tokenizer.vocab_size(),
                               .context = text_context(recipe),
                               .rolls = true}};
  const auto made = generate(input, {prompt}).front();
  if (log != nullptr) log->sample(step, "generated text", made.text);
}

struct Start {
  StartPoint checkpoint;
  std::unique_ptr<Checkpoint> opened;
  Json data_state;  ///< null for a fresh run
};

Start find_start(Session& session, const Recipe& recipe, const Json& options) {
  Start start;
  std::string path;
  session.together([&] {
    if (session.rank() != 0) return;
    if (const auto found =
            enter_run(recipe, options.value("resume", ""), options.value("overwrite", false))) {
      path = found->string();
    }
  });
  path = broadcast_text(session.world(), path);
  if (path.empty()) return start;
  session.together([&] {
    start.checkpoint = path;
    start.opened = std::make_unique<Checkpoint>(path);
    check_resume(recipe, *start.opened);
    start.data_state = start.opened->state().at("data");
  });
  return start;
}

std::string describe(Session& session, const Recipe& recipe) {
  const auto& plan = session.plan();
  const int64_t all = session.model().parameter_count(), frozen = session.model().frozen_count();
  const auto split =
      frozen > 0 ? fmt::format(" ({} trained, {} frozen)", all - frozen, frozen) : std::string();
  const int threads = at::get_num_threads();
  const auto means = session.device().cuda
                         ? fmt::format("on {}", session.device().name)
                         : fmt::format("{} thread{} each", threads, threads == 1 ? "" : "s");
  return fmt::format("{}: {} parameters{}, {} rank{} ({}), {}, {} × {} tokens a step", recipe.name,
                     all, split, plan.world, plan.world == 1 ? "" : "s", plan.mesh.text(), means,
                     recipe.train.packs, recipe.train.pack_tokens);
}

int signal_code(int signal) { return signal == SIGINT ? 130 : 143; }

}  // namespace

int run_train(const Request& request, MpiSession& mpi) {
  watch_signals();
  Session session(mpi);
  Recipe recipe;
  session.together([&] { recipe = read_recipe(request.target, request.overrides); });
  auto start = find_start(session, recipe, request.options);
  std::string loaded;
  if (!start.opened && starts_from_directory(recipe))
    loaded = build_from_directory(session, recipe);
  else
    session.build(recipe, start.data_state);
  std::unique_ptr<RunLog> log;
  int64_t steps = 0;
  session.together([&] { steps = planned_steps(recipe, session.data()); });
  const int64_t first = start.opened ? start.opened->state().at("step").get<int64_t>() : 0;
  session.together([&] {
    if (session.rank() != 0) return;
    describe_run(recipe, session.plan());
    log = std::make_unique<RunLog>(
        RunLogSettings{recipe.output, first, steps,
                       request.options.value("json", false) ? Show::json : Show::people});
    log->note(describe(session, recipe));
    if (!loaded.empty()) log->note(loaded);
    if (first > 0) log->note(fmt::format("resumed from {}", start.checkpoint->string()));
    if (recipe.base.router_force_balance)
      log->note("experts take turns (router_force_balance): a benchmark, no training");
  });
  const FlatMath math = flat_math();
  Trainer trainer({.recipe = recipe,
                   .data = session.data(),
                   .model = session.model(),
                   .world = session.mesh().world(),
                   .data_group = session.mesh().data(),
                   .sequence = session.mesh().sequence_host(),
                   .writes_shards = session.mesh().replicate().rank() == 0,
                   .packs_per_micro_batch = session.plan().packs_per_micro_batch,
                   .balance_encoders = session.plan().balance_encoders,
                   .planned_steps = steps,
                   .math = math,
                   .peak_flops = measure_peak_flops(session.device(), recipe.train.precision),
                   .peak_device_bytes = peak_bytes_of(session.device()),
                   .ledger = &session.mesh().ledger(),
                   .log = log.get()});
  if (start.opened) session.together([&] { trainer.restore(*start.opened); });
  const auto result = trainer.run();
  if (result.stop_signal == 0) show_sample(session, recipe, result.step, log.get());
  if (log) {
    if (result.stop_signal != 0) {
      log->note(fmt::format("stopped by a signal after step {}; continue with --resume auto",
                            result.step));
    }
    log->close();
    log->note(
        fmt::format("report: {}", (std::filesystem::path(recipe.output) / "report.html").string()));
  }
  session.clear();
  return result.stop_signal == 0 ? 0 : signal_code(result.stop_signal);
}

}  // namespace veomni
