#pragma once
// What encoders that start from a Hugging Face directory share: which tensors their blocks' parameters are made of, and
// keys of sizes. No LibTorch.

#include <string>

#include "core/recipe/parameter_spec.h"
#include "modalities/base/block_spec.h"

namespace veomni {

/// Names without ".weight" and ".bias". Where `qkv` is given the directory has the three in one tensor too.
struct BlockTensors {
  std::string input_norm, qkv, q, k, v, output, post_norm, gate, up, down;
};

/// Sets the pieces of describe_block's parameters; `prefix` stands before every name.
void name_block_pieces(UnitSpec& unit, const BlockConfig& config, const std::string& prefix,
                       const BlockTensors& tensors);

/// The parameter is that one tensor, of `shape` where the directory has another one than we.
void name_piece(ParameterSpec& parameter, const std::string& tensor,
                const std::vector<int64_t>& shape = {});

/// The key "from" of encoders that can start from a directory.
Key from_key(const std::string& what);

/// A positive integer.
Key size_key(const char* name, const char* doc, int64_t value, double maximum = 1 << 20);
int64_t size_of(const PartConfig& config, const char* key);

}  // namespace veomni
