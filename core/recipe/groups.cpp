#include "core/recipe/groups.h"

namespace veomni {

namespace {

/// Whether `text` is of the form `pattern`; the last '*' takes more whenever what follows it does not fit.
bool fits(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, taken = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

}  // namespace

std::vector<GroupConfig> read_groups(const Json& groups) {
  std::vector<GroupConfig> out;
  for (const Json& group : groups) {
    GroupConfig& config = out.emplace_back();
    config.match = group.at("match").get<std::string>();
    config.frozen = group.value("frozen", false);
    if (group.contains("lr")) config.lr = group["lr"].get<double>();
    if (group.contains("weight_decay")) config.weight_decay = group["weight_decay"].get<double>();
  }
  return out;
}

std::string group_name(const std::string& parameter) {
  constexpr std::string_view kModel = "model.";
  if (parameter == "lm_head.weight") return "base." + parameter;
  if (!parameter.starts_with(kModel) || parameter.starts_with("model.special_tokens."))
    return parameter;
  return "base." + parameter.substr(kModel.size());
}

bool matches(const GroupConfig& group, const std::string& parameter) {
  return fits(group.match, parameter) || fits(group.match, group_name(parameter));
}

int group_of(const std::vector<GroupConfig>& groups, const std::string& parameter) {
  for (size_t i = 0; i < groups.size(); ++i) {
    if (matches(groups[i], parameter)) return static_cast<int>(i);
  }
  return kNoGroup;
}

bool is_frozen(const std::vector<GroupConfig>& groups, const std::string& parameter) {
  const int group = group_of(groups, parameter);
  return group != kNoGroup && groups[static_cast<size_t>(group)].frozen;
}

}  // namespace veomni
