#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace veomni {

struct Pass;

/// x with each element zeroed with probability pass.dropout and the rest scaled up (Srivastava et al. 2014); x itself in
/// evaluation or when dropout is 0. Which elements: a hash of (pass.noise_seed, purpose, key of the row, column), so it
/// does not depend on the rank or the micro-batch a row is computed in.
///
/// x [T, D] f32 or bf16; keys [T] i64 on the host
at::Tensor residual_dropout(const at::Tensor& x, const at::Tensor& keys, const Pass& pass,
                            const std::string& purpose);

/// What decides a mask.
struct DropoutDraw {
  uint64_t seed = 0;
  int64_t columns = 0;
  uint32_t threshold = 0;  ///< of 2^32: draws below it are dropped
  float keep_scale = 1;
};
/// The mask [T, columns] f32 of the rows with these keys: 0 or keep_scale. The second computes the same bits by LibTorch's
/// operators, on the keys' device.
at::Tensor dropout_mask(const at::Tensor& keys, const DropoutDraw& draw);
at::Tensor dropout_mask_by_operators(const at::Tensor& keys, const DropoutDraw& draw);

}  // namespace veomni
