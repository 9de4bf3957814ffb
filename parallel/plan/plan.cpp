#include "parallel/plan/plan.h"

#include <algorithm>

namespace veomni {
namespace {

// Larger micro-batches gain nothing once the matrix products are long; they only cost memory.
constexpr int64_t kMicroBatchTokens = 4096;
// Of a rank, that are worth a journey to the experts of their own.
constexpr int64_t kExpertPartTokens = 1024;

int expert_parts(const Recipe& recipe, const Plan& plan) {
  if (plan.mesh.expert == 1 || !recipe.parallel.overlap) return 1;
  const int64_t tokens = recipe.train.pack_tokens * plan.packs_per_micro_batch / plan.mesh.sequence;
  return static_cast<int>(std::clamp<int64_t>(tokens / kExpertPartTokens, 2, 8));
}

Json part_layout(const Recipe& recipe, const Plan& plan, bool sharded) {
  return {{"replicate", sharded ? plan.mesh.replicate : plan.world},
          {"shard", sharded ? plan.mesh.copy_size() : 1},
          {"placement", recipe.train.device},
          {"recompute", "none"},
          {"offload", "none"},
          {"precision", recipe.train.precision}};
}

}  // namespace

Plan make_plan(const Recipe& recipe, int world) {
  Plan plan;
  plan.world = world;
  const auto& wanted = recipe.parallel;
  plan.mesh = MeshShape{static_cast<int>(wanted.replicate), static_cast<int>(wanted.shard),
                        static_cast<int>(wanted.sequence), static_cast<int>(wanted.expert)}
                  .resolve(world);
  const int64_t readers = int64_t{plan.mesh.replicate} * plan.mesh.shard;
  const int64_t lanes = (recipe.train.packs + readers - 1) / readers;
  const int64_t fitting = std::max<int64_t>(1, kMicroBatchTokens / recipe.train.pack_tokens);
  // A pack's own routing fractions need the pack for itself.
  const bool alone = recipe.base.num_experts > 0 && recipe.base.balance == "pack";
  plan.packs_per_micro_batch = alone ? 1 : std::min(lanes, fitting);
  plan.micro_batches = (lanes + plan.packs_per_micro_batch - 1) / plan.packs_per_micro_batch;
  plan.expert_parts = expert_parts(recipe, plan);
  plan.balance_encoders = wanted.balance_encoders && readers > 1 && !recipe.encoders.empty();
  return plan;
}

Json plan_json(const Recipe& recipe, const Plan& plan) {
  Json parts = Json::object();
  for (const auto& part : recipe.encoders) {
    parts["encoders." + part.name] = part_layout(recipe, plan, true);
    parts["encoders." + part.name]["balanced"] = plan.balance_encoders;
  }
  parts["base"] = part_layout(recipe, plan, true);
  parts["base"]["sequence"] = plan.mesh.sequence;
  parts["base"]["expert"] = plan.mesh.expert;
  if (plan.mesh.expert > 1) parts["base"]["expert_parts"] = plan.expert_parts;
  for (const auto& part : recipe.decoders)
    parts["decoders." + part.name] = part_layout(recipe, plan, true);
  for (const auto& part : recipe.heads)
    parts["heads." + part.name] = part_layout(recipe, plan, true);
  for (const auto& table : recipe.tables) {
    parts["tables." + table.name] = part_layout(recipe, plan, false);
    parts["tables." + table.name]["precision"] = "fp32";
  }
  return {{"world", plan.world},
          {"replicate", plan.mesh.replicate},
          {"shard", plan.mesh.shard},
          {"sequence", plan.mesh.sequence},
          {"expert", plan.mesh.expert},
          {"packs_per_micro_batch", plan.packs_per_micro_batch},
          {"micro_batches", plan.micro_batches},
          {"parts", parts}};
}

}  // namespace veomni
