#include "support/tiny_run.h"

#include <ATen/ATen.h>

#include <mutex>

#include "cmd/engine/flat_math.h"
#include "core/data/sample.h"
#include "core/report/json_lines.h"
#include "core/train/epochs.h"
#include "modalities/all.h"
#include "modalities/model.h"
#include "parallel/comm/thread.h"
#include "parallel/device.h"
#include "parallel/mesh.h"
#include "parallel/plan/plan.h"

namespace veomni::test {
namespace fs = std::filesystem;
namespace {

void register_once() {
  static std::once_flag once;
  std::call_once(once, [] {
    register_specs();
    register_parts();
  });
}

/// Gradients of the first step, by running it once beside the trainer's own on a dataset of its own.
std::map<std::string, at::Tensor> first_gradients(const Recipe& recipe, Mesh& mesh,
                                                  const Plan& plan, bool cuda) {
  ParallelContext context;
  mesh.fill(context);
  context.seed = recipe.seed;
  context.overlap = recipe.parallel.overlap;
  context.expert_parts = plan.expert_parts;
  context.fsdp = FsdpSettings::of(recipe.parallel);
  context.cuda = cuda;
  const auto data = open_dataset(recipe, nullptr);
  const auto model = build_model(recipe, data->vocab_size(), context);
  auto share = share_lanes(mesh.data().rank(), mesh.data().size(), recipe.train.packs,
                           plan.packs_per_micro_batch);
  share.balance_encoders = plan.balance_encoders;
  StepLoader loader(recipe, *data, model->losses(), mesh.data(), share,
                    {mesh.sequence().rank(), mesh.sequence().size()});
  data->start(loader.lanes(), nullptr);
  auto input = loader.next();
  model->begin_step(input.use);
  ForwardOptions options;
  options.train = true;
  options.counts = input.counts;
  options.step_tokens = input.tokens;
  for (auto& [batch, use] : input.micro_batches) {
    options.use = use;
    const auto objective = model->forward(batch, options).objective;
    if (objective.requires_grad()) objective.backward();  // train.groups may freeze all it uses
  }
  model->reduce_gradients();
  std::map<std::string, at::Tensor> gradients;
  for (const auto& name : model->parameter_names()) {
    const auto gradient = model->full_gradient(name);  // frozen parameters have none
    gradients[name] = gradient.defined() ? gradient.cpu() : gradient;
  }
  return gradients;
}

}  // namespace

RunOutcome run_recipe(const std::string& recipe_path, const RunOptions& options) {
  register_once();
  const Recipe recipe = read_recipe(recipe_path, options.overrides);
  RunOutcome outcome;
  run_ranks(options.replicate * options.shard * options.sequence, [&](Communicator& world) {
    auto sized = recipe;
    sized.parallel.replicate = options.replicate;
    sized.parallel.shard = options.shard;
    sized.parallel.sequence = options.sequence;
    sized.parallel.expert = options.expert;
    Plan plan = make_plan(sized, world.size());
    if (options.accumulate) plan.packs_per_micro_batch = 1;
    const bool cuda = open_shared_device(options.device, world);
    Mesh mesh(world, plan.mesh, plan.balance_encoders);
    if (options.keep_gradients) {
      auto gradients = first_gradients(sized, mesh, plan, cuda);
      if (world.rank() == 0) outcome.gradients = std::move(gradients);
    }
    ParallelContext context;
    mesh.fill(context);
    context.seed = sized.seed;
    context.overlap = sized.parallel.overlap;
    context.expert_parts = plan.expert_parts;
    context.fsdp = FsdpSettings::of(sized.parallel);
    context.cuda = cuda;
    context.compute_bf16 = sized.train.precision == "bf16";
    std::unique_ptr<Checkpoint> start;
    if (!options.resume.empty()) start = std::make_unique<Checkpoint>(options.resume);
    const auto data = open_dataset(sized, start ? start->state().at("data") : Json(nullptr));
    const auto model = build_model(sized, data->vocab_size(), context);
    std::unique_ptr<RunLog> log;
    const int64_t first = start ? start->state().at("step").get<int64_t>() : 0;
    if (world.rank() == 0) {
      fs::create_directories(sized.output);
      log = std::make_unique<RunLog>(
          RunLogSettings{sized.output, first, sized.train.steps, Show::nothing});
    }
    if (options.before_run) options.before_run(world);
    const auto math = flat_math();
    Trainer trainer({.recipe = sized,
                     .data = *data,
                     .model = *model,
                     .world = mesh.world(),
                     .data_group = mesh.data(),
                     .sequence = mesh.sequence_host(),
                     .writes_shards = mesh.replicate().rank() == 0,
                     .packs_per_micro_batch = plan.packs_per_micro_batch,
                     .balance_encoders = plan.balance_encoders,
                     .planned_steps = planned_steps(sized, *data),
                     .math = math,
                     .ledger = &mesh.ledger(),
                     .log = log.get()});
    if (start) trainer.restore(*start);
    const auto result = trainer.run();
    std::map<std::string, at::Tensor> parameters;
    for (const auto& name : model->parameter_names())
      parameters[name] = model->full_parameter(name).cpu();
    if (world.rank() != 0) return;
    outcome.result = result;
    outcome.evaluation = result.evaluation;
    outcome.parameters = std::move(parameters);
    log->close();
    for (auto& line : read_json_lines(fs::path(sized.output) / "metrics.jsonl")) {
      if (line.contains("loss")) outcome.steps.push_back(line);
    }
  });
  return outcome;
}

bool open_shared_device(const std::string& device, const Communicator& world) {
  const DeviceRequest request{
      .wanted = device, .local_rank = world.rank(), .local_ranks = world.size(), .share = true};
  return open_device(request).cuda;
}

double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  const auto difference = (a.to(at::kDouble) - b.to(at::kDouble)).norm().item<double>();
  const auto size = b.to(at::kDouble).norm().item<double>();
  return size > 0 ? difference / size : difference;
}

void register_all_parts() { register_once(); }

}  // namespace veomni::test
