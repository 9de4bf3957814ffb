// train.groups against the parameters that the recipe's model will have.
#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/recipe/checks.h"
#include "core/recipe/model_parameters.h"
#include "core/suggest.h"

namespace veomni {

namespace {

Path path_of(size_t group) { return {"train", "groups", std::to_string(group)}; }

void check_keys(const GroupConfig& group, const Path& path, const Document& document) {
  if (!group.frozen && !group.lr && !group.weight_decay)
    document.fail_value(path, "does nothing; give \"frozen\": true, lr or weight_decay");
  if (!group.frozen) return;
  for (const auto& [key, given] : {std::pair("lr", group.lr.has_value()),
                                   std::pair("weight_decay", group.weight_decay.has_value())}) {
    if (given)
      document.fail_key(child(path, key),
                        "has no effect on frozen parameters; remove it, or frozen");
  }
}

/// Names and everything below each of their steps, the shortest first.
std::vector<std::string> possible_matches(const std::vector<ParameterSpec>& parameters) {
  std::set<std::string> found;
  for (const ParameterSpec& parameter : parameters) {
    const std::string name = group_name(parameter.name);
    found.insert(name);
    for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1))
      found.insert(name.substr(0, dot) + ".*");
  }
  std::vector<std::string> sorted(found.begin(), found.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const std::string& a, const std::string& b) {
    return std::count(a.begin(), a.end(), '.') < std::count(b.begin(), b.end(), '.');
  });
  return sorted;
}

/// How much of the model one group speaks of.
struct Reach {
  bool matches = false, owns = false, decays = false;
};

void check_reach(const GroupConfig& group, const Reach& reach, const Path& path,
                 const std::vector<ParameterSpec>& parameters, const Document& document) {
  if (!reach.matches)
    document.fail_value(child(path, "match"),
                        fmt::format("no parameter matches '{}'{}", group.match,
                                    did_you_mean(group.match, possible_matches(parameters))));
  if (!reach.owns)
    document.fail_value(child(path, "match"),
                        fmt::format("every parameter that matches '{}' belongs to an earlier "
                                    "group; the first that matches counts: put this one before it",
                                    group.match));
  if (group.weight_decay && !reach.decays)
    document.fail_key(child(path, "weight_decay"),
                      "has no effect: norms, biases, embeddings and tables do not decay; remove "
                      "it, or set train.optimizer.decay_all");
}

}  // namespace

void check_groups(const Recipe& recipe, const Document& document) {
  const auto& groups = recipe.train.groups;
  if (groups.empty()) return;
  for (size_t g = 0; g < groups.size(); ++g) check_keys(groups[g], path_of(g), document);
  const int64_t some_rows = recipe.tokenizer.empty() ? 0 : 1;
  const auto parameters = model_parameters(recipe, std::max(recipe.base.vocab_size, some_rows));
  std::vector<Reach> reach(groups.size());
  bool trained = false;
  for (const ParameterSpec& parameter : parameters) {
    for (size_t g = 0; g < groups.size(); ++g)
      reach[g].matches = reach[g].matches || matches(groups[g], parameter.name);
    const int owner = group_of(groups, parameter.name);
    trained = trained || !is_frozen(groups, parameter.name);
    if (owner == kNoGroup) continue;
    Reach& own = reach[static_cast<size_t>(owner)];
    own.owns = true;
    own.decays = own.decays || parameter.decay || recipe.train.optimizer.decay_all;
  }
  for (size_t g = 0; g < groups.size(); ++g)
    check_reach(groups[g], reach[g], path_of(g), parameters, document);
  if (!trained)
    document.fail_key({"train", "groups"},
                      "every parameter is frozen, so nothing would be trained; leave some out");
}

}  // namespace veomni
