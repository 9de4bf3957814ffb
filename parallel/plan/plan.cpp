#include "parallel/plan/plan.h"

#include <algorithm>

#include "core/error.h"

namespace veomni {
namespace {

// Larger micro-batches gain nothing once the matrix products are long; they only cost memory.
constexpr int64_t kMicroBatchTokens = 4096;

Json part_layout(const Recipe& recipe, const Plan& plan, bool sharded) {
  return {{"replicate", sharded ? plan.replicate : plan.world},
          {"shard", sharded ? plan.shard : 1},
          {"placement", recipe.train.device},
          {"recompute", "none"},
          {"offload", "none"},
          {"precision", recipe.train.precision}};
}

}  // namespace

Plan make_plan(const Recipe& recipe, int world) {
  Plan plan{.world = world};
  plan.replicate = static_cast<int>(recipe.parallel.replicate);
  plan.shard = static_cast<int>(recipe.parallel.shard);
  if (plan.shard == 0) {
    require<ConfigError>(world % plan.replicate == 0,
                         "parallel.replicate: {} must divide the world of {} ranks", plan.replicate,
                         world);
    plan.shard = world / plan.replicate;
  }
  require<ConfigError>(plan.replicate * plan.shard == world,
                       "parallel: replicate {} × shard {} is {} ranks, but the world has {}",
                       plan.replicate, plan.shard, plan.replicate * plan.shard, world);
  const int64_t lanes = (recipe.train.packs + world - 1) / world;
  const int64_t fitting = std::max<int64_t>(1, kMicroBatchTokens / recipe.train.pack_tokens);
  // A pack's own routing fractions need the pack for itself.
  const bool alone = recipe.base.num_experts > 0 && recipe.base.balance == "pack";
  plan.packs_per_micro_batch = alone ? 1 : std::min(lanes, fitting);
  plan.micro_batches = (lanes + plan.packs_per_micro_batch - 1) / plan.packs_per_micro_batch;
  return plan;
}

Json plan_json(const Recipe& recipe, const Plan& plan) {
  Json parts = Json::object();
  for (const auto& part : recipe.encoders)
    parts["encoders." + part.name] = part_layout(recipe, plan, true);
  parts["base"] = part_layout(recipe, plan, true);
  for (const auto& part : recipe.decoders)
    parts["decoders." + part.name] = part_layout(recipe, plan, true);
  for (const auto& part : recipe.heads)
    parts["heads." + part.name] = part_layout(recipe, plan, true);
  for (const auto& table : recipe.tables) {
    parts["tables." + table.name] = part_layout(recipe, plan, false);
    parts["tables." + table.name]["precision"] = "fp32";
  }
  return {{"world", plan.world},
          {"replicate", plan.replicate},
          {"shard", plan.shard},
          {"packs_per_micro_batch", plan.packs_per_micro_batch},
          {"micro_batches", plan.micro_batches},
          {"parts", parts}};
}

}  // namespace veomni
