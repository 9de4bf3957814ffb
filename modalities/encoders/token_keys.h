#pragma once

#include <ATen/core/Tensor.h>

namespace veomni {

/// Noise keys for encoders whose own rows are not the tokens they return: row p of item i gets a key made of the
/// item's and p, so that dropout does not depend on where the item is computed.
///
/// keys [n] i64 on the host, counts [n] i64 on the host: rows of each item → [Σ counts] i64
at::Tensor spread_keys(const at::Tensor& keys, const at::Tensor& counts);

}  // namespace veomni
