#pragma once

#include <ATen/core/Tensor.h>

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

}  // namespace veomni
