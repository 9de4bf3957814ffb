#pragma once

#include <cstdint>

namespace veomni {

class Dataset;
struct Recipe;

/// `train.steps`, or about how many steps `train.epochs` will take: what the schedule and the ETA go by. Sample lengths
/// are then taken from up to 64 training samples of each source, spread evenly.
int64_t planned_steps(const Recipe& recipe, const Dataset& data);

}  // namespace veomni
