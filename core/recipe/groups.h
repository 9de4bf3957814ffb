#pragma once
// train.groups: which parameters stay as they are, or have a learning rate or weight decay of their own.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace veomni {

struct GroupConfig {
  std::string match;  ///< of parameters' names; '*' stands for any characters
  bool frozen = false;
  std::optional<double> lr = {}, weight_decay = {};  ///< none: the optimizer's
};

/// From a resolved recipe's train.groups.
std::vector<GroupConfig> read_groups(const Json& groups);

constexpr int kNoGroup = -1;

/// The first group whose `match` names the parameter, or kNoGroup. Names are those of checkpoints; base.… stands for the
/// base model's own (group_name).
int group_of(const std::vector<GroupConfig>& groups, const std::string& parameter);
bool is_frozen(const std::vector<GroupConfig>& groups, const std::string& parameter);

/// Whether one group names the parameter.
bool matches(const GroupConfig& group, const std::string& parameter);

/// How recipes call a parameter: model.layers.0.… and lm_head.weight belong to base (what a Hugging Face directory has of
/// it), readout and boundary tokens (model.special_tokens.weight) do not.
std::string group_name(const std::string& parameter);

}  // namespace veomni
