#pragma once
// How a part declares its parameters: one table, read by the module that holds them, by validation and by the search.

#include <cstdint>
#include <string>
#include <vector>

namespace veomni {

struct Init {
  enum class Kind { zeros, ones, normal, uniform };
  Kind kind = Kind::zeros;
  double scale = 0;  ///< normal: standard deviation; uniform: half width
  static Init zeros() { return {}; }
  static Init ones() { return {Kind::ones, 1}; }
  static Init normal(double deviation) { return {Kind::normal, deviation}; }
  static Init uniform(double half_width) { return {Kind::uniform, half_width}; }
};

struct ParameterSpec {
  std::string name;  ///< full name, unique in the model
  std::vector<int64_t> shape;
  Init init;
  bool decay = true;  ///< weight decay applies (norms, biases and embeddings say false)
};

/// One FSDP unit of a part: its parameters in the order the module uses them, and its cost per token that the part
/// processes itself (forward only).
struct UnitSpec {
  std::string name;
  std::vector<ParameterSpec> parameters;
  double flops_per_token = 0;  ///< a multiply-add counts as two; attention's scores are not in it
  double saved_bytes_per_token = 0;  ///< fp32 activations kept for backward
};

}  // namespace veomni
