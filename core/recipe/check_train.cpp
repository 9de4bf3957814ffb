#include "core/error.h"
#include "core/recipe/checks.h"

namespace veomni {

namespace {

void check_length(const TrainConfig& train, const Document& document) {
  if (train.steps == 0 && train.epochs == 0) {
    document.fail_value({"train"}, "missing key 'steps' (optimizer steps); give steps or epochs");
  }
  if (train.steps != 0 && train.epochs != 0) {
    document.fail_key({"train", "epochs"},
                      "steps decide the length already; remove one of the two");
  }
  const int64_t scheduled = train.schedule.warmup + train.schedule.decay;
  if (train.steps != 0 && scheduled > train.steps) {
    const bool wsd = train.schedule.type == "wsd";
    const bool given = document.value()["train"].contains("schedule");
    document.fail_value(given ? Path{"train", "schedule", "warmup"} : Path{"train"},
                        fmt::format("{}{} steps are more than train.steps = {}; shorten {}",
                                    wsd ? "warmup and decay: " : "", scheduled, train.steps,
                                    wsd ? "one of them" : "it"));
  }
}

void check_eval(const Recipe& recipe, const Document& document) {
  const bool held_back =
      std::any_of(recipe.sources.begin(), recipe.sources.end(),
                  [](const SourceConfig& source) { return source.eval.has_value(); });
  if (recipe.eval.every > 0 && !held_back) {
    document.fail_key({"eval", "every"},
                      "has no effect: no source has split.eval; add it or remove this key");
  }
  if (recipe.eval.samples > 0 && recipe.eval.every == 0) {
    document.fail_key(
        {"eval", "samples"},
        "has no effect without eval.every: the last evaluation sees all samples; remove it");
  }
}

}  // namespace

void check_train(const Recipe& recipe, const Document& document) {
  check_length(recipe.train, document);
  check_eval(recipe, document);
  if (recipe.name.find('/') != std::string::npos) {
    document.fail_value({"name"}, "a name holds no '/'; rename it");
  }
}

}  // namespace veomni
