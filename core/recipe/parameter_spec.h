#pragma once
// How a part declares its parameters: one table, read by the module that holds them, by validation and by the search.

#include <cstdint>
#include <string>
#include <vector>

namespace veomni {

struct Init {
  enum class Kind { zeros, ones, normal, uniform, sinusoids };
  Kind kind = Kind::zeros;
  double scale = 0;  ///< normal: standard deviation; uniform: half width; sinusoids: columns
  static Init zeros() { return {}; }
  static Init ones() { return {Kind::ones, 1}; }
  static Init normal(double deviation) { return {Kind::normal, deviation}; }
  static Init uniform(double half_width) { return {Kind::uniform, half_width}; }
  /// Whisper's position table: row p holds sin(p·f_k), then cos(p·f_k), f from 1 down to 1/10000.
  static Init sinusoids(double columns) { return {Kind::sinusoids, columns}; }
};

/// A part of a tensor of a Hugging Face directory; a parameter is the end-to-end concatenation of its flattened pieces,
/// so a range of the one is ranges of the others.
struct HuggingFacePiece {
  std::string tensor;
  std::vector<int64_t> shape;  ///< of the whole tensor
  int64_t begin = 0, end = 0;  ///< its flattened elements; all of them when end is 0
  bool transposed =
      false;  ///< all of them, the file's [inputs, outputs] read column by column (GPT-2's Conv1D)
  int64_t count() const;
};

struct ParameterSpec {
  std::string name;  ///< full name, unique in the model
  std::vector<int64_t> shape;
  Init init;
  bool decay = true;  ///< weight decay applies (norms, biases and embeddings say false)
  /// Parts with "from": what the directory has of it, in order; empty: nothing, it starts fresh.
  std::vector<HuggingFacePiece> pieces = {};
  // Filled in by the unit that holds it, from train.groups:
  int group = -1;       ///< index into train.groups, or kNoGroup
  bool frozen = false;  ///< no gradient, no update
  // Rows of dim 0 that the unit holds, where ranks have different ones (experts): row_count of them, from row_begin on.
  int64_t row_begin = 0, row_count = -1;  ///< -1: all

  std::vector<int64_t> held_shape() const;
  int64_t held_begin() const;  ///< first held element of the flattened parameter
};

/// One FSDP unit of a part: its parameters in the order the module uses them, and its cost per token that the part
/// processes itself (forward only).
struct UnitSpec {
  std::string name;
  std::vector<ParameterSpec> parameters;
  double flops_per_token = 0;  ///< a multiply-add counts as two; attention's scores are not in it
  double saved_bytes_per_token = 0;  ///< fp32 activations kept for backward
  bool attends = false;              ///< a block: its attention costs flops by pairs of tokens, too
};

}  // namespace veomni
