#pragma once
// What an encoder is, and the registry of those that exist. D hidden size of the base model

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/recipe/recipe.h"
#include "core/registry.h"
#include "core/train/batch.h"
#include "core/train/model.h"
#include "modalities/base/block.h"

namespace veomni {

class Table;

class Encoder {
 public:
  virtual ~Encoder() = default;
  /// All segments of this encoder in the batch → [Σ token_counts, D], in segment order, in the compute dtype.
  virtual at::Tensor lm_encode(const EncoderInput& input, const Pass& pass) = 0;
  virtual std::vector<Unit*> units() = 0;
  /// Tables that belong to this encoder alone.
  virtual std::vector<Table*> own_tables() { return {}; }
};

/// What a factory may use; alive as long as the model.
struct BuildContext {
  const Recipe& recipe;
  BaseSizes sizes;
  ParallelContext& parallel;
  std::map<std::string, Table*> tables;  ///< model.tables
};

using EncoderRegistry = Registry<Encoder, const PartConfig&, BuildContext&>;
EncoderRegistry& encoders();  ///< filled once by register_parts()

}  // namespace veomni
