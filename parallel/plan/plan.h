#pragma once
// The one object that decides layout. This version takes the axes from the recipe; nothing else decides anything.

#include <cstdint>

#include "core/json.h"
#include "core/recipe/recipe.h"
#include "parallel/plan/mesh_shape.h"

namespace veomni {

struct Plan {
  int world = 1;
  MeshShape mesh;                     ///< every axis filled in
  int64_t packs_per_micro_batch = 1;  ///< packs of a rank that go through the model together
  int64_t micro_batches = 1;          ///< forward and backward passes a step on each rank
  /// Into how many parts tokens go to experts of other ranks and back, each travelling while others are computed: more hide
  /// more of the journey, where they are large enough to be worth a message. 1: nothing overlaps, or nobody shares experts.
  int expert_parts = 1;
  bool balance_encoders = false;  ///< asked for, and there are encoders and several rows of packs
};

/// Throws ConfigError: `parallel: replicate 1 × shard 2 is 2 ranks, but the world has 8`.
Plan make_plan(const Recipe& recipe, int world);

/// plan.json: the axes, then `parts` with each part's axes, placement, recompute, offload and precision.
Json plan_json(const Recipe& recipe, const Plan& plan);

}  // namespace veomni
