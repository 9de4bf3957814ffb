#pragma once
// The architectures of transformers whose directories become model.base.

#include <cstdint>
#include <vector>

namespace veomni {

/// An architecture of transformers that our block computes, and the family of model.base it becomes.
struct Architecture {
  const char* model_type = "";
  const char* family = "";
  const char* name = "";      ///< the class that reads the directory
  double rope_theta = 10000;  ///< transformers' default
  double norm_eps = 1e-6;
  bool bias_key = true;  ///< attention_bias is read; otherwise it is what the family has
  /// Which layers may have sliding_window: none, all or none of them, or those that layer_types names.
  enum class Windows { none, all, by_layer } windows = Windows::none;
  bool window_flag = false;        ///< only with use_sliding_window
  int64_t default_window = 0;      ///< where config.json has no such key; 0: none
  int64_t max_window_layers = 28;  ///< by_layer, without layer_types: the first ones that have none
  const char* vision = nullptr;    ///< type of the encoder that the directory holds besides
};

const std::vector<Architecture>& architectures();

}  // namespace veomni
