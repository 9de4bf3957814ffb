#include "core/train/trainer.h"

#include <ATen/ATen.h>
#include <sys/resource.h>

#include <chrono>
#include <cmath>

#include "core/communicator.h"
#include "core/data/fingerprint.h"
#include "core/data/sample.h"
#include "core/error.h"
#include "core/train/gather.h"
#include "core/train/router_loads.h"
#include "core/train/schedule.h"
#include "core/train/snapshot.h"
#include "core/train/stop.h"

namespace veomni {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

int64_t peak_host_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

/// Splits the seed by step, so that the noise of a step does not depend on how many ran before it in this process.
uint64_t noise_seed(int64_t seed, int64_t step) {
  return static_cast<uint64_t>(seed) * 0x9E3779B97F4A7C15ULL +
         static_cast<uint64_t>(step) * 0xD1B54A32D192ED03ULL;
}

/// Nothing to do where all that the micro-batch uses is frozen (the same on every rank).
void run_backward(const at::Tensor& objective) {
  if (objective.requires_grad()) objective.backward();
}

/// Work of the busiest rank over that of the mean rank, of each encoder that had any: what the others wait for.
Json imbalance(const Recipe& recipe, const std::vector<EncoderWork>& work, int ranks) {
  Json out = Json::object();
  for (size_t e = 0; e < work.size(); ++e) {
    const auto over_mean = [&](int64_t busiest) {
      return static_cast<double>(busiest) * ranks / static_cast<double>(work[e].total);
    };
    if (work[e].total > 0)
      out[recipe.encoders[e].name] = {{"before", over_mean(work[e].before)},
                                      {"after", over_mean(work[e].after)}};
  }
  return out;
}

/// Steps between lines that have each expert's load: long where there are many.
constexpr int64_t kLoadsEvery = 50;

LaneShare lane_share(const TrainContext& context) {
  auto share = share_lanes(context.data_group.rank(), context.data_group.size(),
                           context.recipe.train.packs, context.packs_per_micro_batch);
  share.balance_encoders = context.balance_encoders;
  return share;
}

}  // namespace

struct Trainer::StepOutcome {
  double loss = 0, grad_norm = 0, lr = 0;
  std::vector<double> losses;  ///< per term, mean over the step
  double step_seconds = 0, data_seconds = 0, comm_seconds = 0, flops = 0;
};

Trainer::Trainer(TrainContext context)
    : context_(context),
      optimizer_(context.recipe.train, context.model, context.math),
      evaluator_(context.recipe, context.data, context.model,
                 {context.world, context.data_group, context.sequence}),
      loader_(context.recipe, context.data, context.model.losses(), context.data_group,
              lane_share(context), {context.sequence.rank(), context.sequence.size()}) {}

void Trainer::restore(const Checkpoint& checkpoint) {
  load_snapshot(checkpoint, context_.model, &optimizer_);
  step_ = checkpoint.state().at("step").get<int64_t>();
  saved_step_ = step_;
  restored_cursors_ = checkpoint.state().at("cursors");
  files_ = checkpoint.state().value(
      "files", Json(nullptr));  // check_resume found them equal to the recipe's
}

ForwardOptions Trainer::forward_options(const StepInput& input, int64_t step) const {
  ForwardOptions options;
  options.train = true;
  options.noise_seed = noise_seed(context_.recipe.seed, step);
  options.counts = input.counts;
  options.step_tokens = input.tokens;
  return options;
}

at::Tensor Trainer::backward(StepInput& input, int64_t step, double& flops) {
  at::Tensor sums;  // on the model's device: looked at once a step
  auto options = forward_options(input, step);
  context_.model.begin_step(input.use);
  for (size_t i = 0; i < input.micro_batches.size(); ++i) {
    auto& [batch, use] = input.micro_batches[i];
    options.use = use;
    options.first_micro_batch = i == 0 && context_.world.rank() == 0;
    auto out = context_.model.forward(batch, options);
    sums = sums.defined() ? sums.add_(out.sums) : out.sums;
    flops += context_.model.flops(batch);
    run_backward(out.objective);
  }
  context_.model.reduce_gradients();
  return sums;
}

Trainer::StepOutcome Trainer::train_step(StepInput& input, int64_t step) {
  StepOutcome outcome;
  const auto& terms = context_.model.losses();
  // One all-reduce for what everybody has to know of the step: loss sums, then the squared gradient norm.
  auto shared = at::zeros({static_cast<int64_t>(terms.size()) + 1}, at::kDouble);
  shared.narrow(0, 0, static_cast<int64_t>(terms.size()))
      .copy_(backward(input, step, outcome.flops));
  double squares = 0;
  if (context_.writes_shards) {
    for (auto* shard : context_.model.shards()) {
      if (shard->used) squares += context_.math.sum_of_squares(shard->gradient);
    }
  }
  if (context_.world.rank() == 0) {
    for (auto* table : context_.model.tables()) squares += table->gradient_sum_of_squares();
  }
  shared[-1] = squares;
  if (context_.world.size() > 1) context_.world.all_reduce(shared);
  outcome.grad_norm = std::sqrt(shared[-1].item<double>());
  for (size_t k = 0; k < terms.size(); ++k) {
    outcome.losses.push_back(shared[static_cast<int64_t>(k)].item<double>() /
                             std::max(1.0, input.counts[k]));
    outcome.loss += terms[k].weight * outcome.losses.back();
  }
  return outcome;
}

std::string Trainer::first_not_finite(StepInput& input, int64_t step) {
  std::string first;
  auto options = forward_options(input, step);
  options.probe = [&first](const std::string& name, const at::Tensor& value) {
    if (first.empty() && !value.isfinite().all().item<bool>()) first = name;
  };
  // A forward of its own: every rank makes the same collective calls, as in the step.
  context_.model.begin_step(input.use);
  for (auto& [batch, use] : input.micro_batches) {
    options.use = use;
    run_backward(context_.model.forward(batch, options).objective);
  }
  context_.model.reduce_gradients();
  if (!first.empty()) return first;
  for (auto* shard : context_.model.shards()) {
    for (const auto& slice : shard->slices) {
      if (!shard->trains(slice)) break;
      const auto gradient = shard->gradient.narrow(0, slice.offset, slice.end - slice.begin);
      if (!gradient.isfinite().all().item<bool>()) return "gradient of " + slice.parameter;
    }
  }
  return {};
}

void Trainer::report_not_finite(StepInput& input, int64_t step) {
  std::string name;
  for (const auto& mine : gather_texts(context_.world, first_not_finite(input, step))) {
    if (name.empty()) name = mine;
  }
  if (name.empty()) name = "the objective";
  save(context_.data.cursors_before());
  throw Error(
      fmt::format("train: step {}: {} is not finite; saved step {} ({}); lower the learning rate "
                  "or look at the data of this step",
                  step, name, step_, checkpoint_name(step_)));
}

void Trainer::log_step(const StepInput& input, const StepOutcome& outcome) {
  if (context_.log == nullptr) return;
  const auto& terms = context_.model.losses();
  Json losses = Json::object();
  for (size_t k = 0; k < terms.size(); ++k) losses[terms[k].name] = outcome.losses[k];
  Json line = {{"step", step_},
               {"loss", outcome.loss},
               {"losses", losses},
               {"grad_norm", outcome.grad_norm},
               {"lr", outcome.lr},
               {"tokens", static_cast<int64_t>(input.tokens)},
               {"tokens_per_second", input.tokens / outcome.step_seconds},
               {"step_seconds", outcome.step_seconds},
               {"data_seconds", outcome.data_seconds},
               {"comm_seconds", outcome.comm_seconds},
               {"pack_efficiency", input.fill},
               {"peak_memory_bytes",
                context_.peak_device_bytes ? context_.peak_device_bytes() : peak_host_bytes()}};
  if (context_.peak_flops > 0)
    line["mfu"] = outcome.flops / outcome.step_seconds / context_.peak_flops;
  if (const auto loads = context_.model.expert_loads(); loads.defined())
    line["router"] =
        router_json(loads, step_ % kLoadsEvery == 1 || step_ == context_.recipe.train.steps);
  if (!input.encoder_work.empty())
    line["encoder_imbalance"] =
        imbalance(context_.recipe, input.encoder_work, context_.world.size());
  if (context_.ledger != nullptr && context_.world.size() > 1) {
    line["comm"] = context_.ledger->json(/*units=*/false);
    // The same in every step, and long: once.
    if (!std::exchange(told_units_, true)) line["comm_units"] = context_.ledger->json(true);
  }
  context_.log->step(line);
}

void Trainer::evaluate(bool whole) {
  evaluation_ = evaluator_.run(whole ? 0 : context_.recipe.eval.samples);
  evaluated_step_ = step_;
  if (context_.log != nullptr && !evaluation_.empty()) {
    context_.log->evaluation({{"step", step_}, {"eval", evaluation_}});
  }
}

void Trainer::save(const Json& cursors) {
  if (saved_step_ == step_) return;
  Json merged = Json::object();
  for (const auto& text : gather_texts(context_.data_group, cursors.dump()))
    merged.update(Json::parse(text));
  const Json state = {{"step", step_},
                      {"cursors", merged},
                      {"data", context_.data.state()},
                      {"files", files_},
                      {"recipe", context_.recipe.resolved},
                      {"ranks", context_.world.size()}};
  save_snapshot(context_.model, optimizer_, context_.world,
                {.checkpoints = std::filesystem::path(context_.recipe.output) / "checkpoints",
                 .step = step_,
                 .keep = context_.recipe.checkpoint.keep,
                 .writes = context_.writes_shards},
                state);
  saved_step_ = step_;
}

TrainResult Trainer::run() {
  const auto& train = context_.recipe.train;
  if (context_.world.rank() == 0 && files_.is_null()) files_ = data_fingerprint(context_.recipe);
  context_.data.start(loader_.lanes(), restored_cursors_);
  int stop = 0;
  while (stop == 0 && (train.steps == 0 || step_ < train.steps)) {
    const auto begin = Clock::now();
    if (context_.ledger != nullptr) context_.ledger->clear();
    auto input = loader_.next();
    const double data_seconds = seconds_since(begin);
    if (input.empty) break;
    const int64_t step = step_ + 1;
    auto outcome = train_step(input, step);
    if (!std::isfinite(outcome.loss) || !std::isfinite(outcome.grad_norm)) {
      report_not_finite(input, step);
    }
    const Rates rates = learning_rates(train, step, context_.planned_steps);
    outcome.lr = rates.own;
    const double clip = train.optimizer.clip;
    const double scale = clip > 0 ? std::min(1.0, clip / (outcome.grad_norm + 1e-6)) : 1.0;
    optimizer_.update(rates, step, scale);
    context_.model.finish_step();
    step_ = step;
    outcome.step_seconds = seconds_since(begin);
    outcome.data_seconds = data_seconds;
    if (context_.ledger != nullptr) outcome.comm_seconds = context_.ledger->exposed();
    log_step(input, outcome);
    stop = input.stop;
    const bool last = step_ == train.steps || stop != 0;
    if (!last && context_.recipe.eval.every > 0 && step_ % context_.recipe.eval.every == 0)
      evaluate(false);
    const auto every = context_.recipe.checkpoint.every;
    if (last || (every > 0 && step_ % every == 0)) save(context_.data.cursors());
  }
  if (stop == 0) {
    save(context_.data.cursors());
    if (evaluated_step_ != step_) evaluate(true);
  }
  return {step_, stop, evaluation_};
}

}  // namespace veomni
