#include "core/data/vocabulary.h"

#include <algorithm>

namespace veomni {

void ValueCounts::add(std::string_view value) {
  if (value.empty()) return;
  auto found = counts_.find(value);
  if (found == counts_.end()) found = counts_.emplace(std::string(value), 0).first;
  ++found->second;
}

std::vector<std::string> ValueCounts::ranked(int64_t limit, int64_t min_count) const {
  std::vector<std::pair<int64_t, std::string_view>> order;
  for (const auto& [value, count] : counts_)
    if (count >= min_count) order.emplace_back(-count, value);
  std::sort(order.begin(), order.end());
  if (static_cast<int64_t>(order.size()) > limit)
    order.resize(static_cast<size_t>(std::max<int64_t>(limit, 0)));
  std::vector<std::string> values;
  values.reserve(order.size());
  for (const auto& [count, value] : order) values.emplace_back(value);
  return values;
}

Vocabulary::Vocabulary(std::vector<std::string> values) : values_(std::move(values)) {
  rows_.reserve(values_.size());
  for (size_t i = 0; i < values_.size(); ++i)
    rows_.emplace(values_[i], kFirst + static_cast<int64_t>(i));
}

int64_t Vocabulary::row(std::string_view value) const {
  if (value.empty()) return kMissing;
  const auto found = rows_.find(value);
  return found == rows_.end() ? kUnseen : found->second;
}

Json TableVocabularies::state() const {
  Json state = Json::object();
  for (const auto& [name, vocabulary] : tables) state[name] = vocabulary->values();
  return state;
}

TableVocabularies TableVocabularies::restore(const Json& state) {
  TableVocabularies restored;
  for (const auto& [name, values] : state.items())
    restored.tables[name] =
        std::make_shared<const Vocabulary>(values.get<std::vector<std::string>>());
  return restored;
}

}  // namespace veomni
