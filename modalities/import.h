#pragma once
// Starts a model from the weights of Hugging Face directories.

#include <memory>
#include <vector>

#include "core/recipe/recipe.h"
#include "core/train/parameters.h"

namespace veomni {

/// Whether any part of the recipe names a directory.
bool starts_from_directory(const Recipe& recipe);

/// The directories that the base model (model.from) and encoders with "from" start from, opened and checked.
class StartWeights {
 public:
  /// Before the model is built: what config.json claims costs no memory unless the files hold it. Throws ConfigError on
  /// an absent tensor, one of another shape, and one that no parameter takes.
  explicit StartWeights(const Recipe& recipe);
  ~StartWeights();
  StartWeights(const StartWeights&) = delete;
  StartWeights& operator=(const StartWeights&) = delete;

  /// Fills this rank's shards; only the ranges it keeps are read. What the directories do not have (projectors, heads,
  /// readout and boundary tokens, other encoders) keeps its fresh values.
  void fill(const std::vector<Shard*>& shards) const;
  int64_t bytes() const;  ///< of all their tensors

 private:
  struct Directory;
  std::vector<std::unique_ptr<Directory>> directories_;
};

/// Both at once.
void import_weights(const std::vector<Shard*>& shards, const Recipe& recipe);

}  // namespace veomni
