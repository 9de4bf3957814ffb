#pragma once
// What a task head is. n targets, D hidden size, c columns of a head's raw output

#include <ATen/core/Tensor.h>

#include <memory>

#include "core/registry.h"
#include "modalities/encoder.h"

namespace veomni {

class Head {
 public:
  virtual ~Head() = default;
  virtual Unit& unit() = 0;
  /// hidden [n, D] of readout tokens, after the final norm → raw [n, c] f32
  virtual at::Tensor lm_head(const UnitUse& weights, const at::Tensor& hidden) = 0;
  /// One loss a target, [n] f32. `parent`: raw output of the `given` head for the same targets, else undefined.
  virtual at::Tensor losses(const at::Tensor& raw, const at::Tensor& labels,
                            const at::Tensor& parent) = 0;
  /// [n, classes] probabilities, or [n, 1] probability or predicted value.
  virtual at::Tensor scores(const at::Tensor& raw, const at::Tensor& parent) = 0;
};

using HeadRegistry = Registry<Head, const PartConfig&, BuildContext&>;
HeadRegistry& heads();

}  // namespace veomni
