#pragma once

#include <cstdint>

namespace veomni {

class Dataset;
struct Recipe;

/// How many steps `train.epochs` will take, about: what the schedule and the ETA go by when `train.steps` is not given.
/// Sample lengths are taken from up to 64 training samples of each source, spread evenly.
int64_t estimate_steps(const Recipe& recipe, const Dataset& data);

}  // namespace veomni
