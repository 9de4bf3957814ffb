#include "core/data/text.h"
#include "core/error.h"
#include "core/tokenizer/token_model.h"

namespace veomni {

void TokenTable::add(std::string token, int64_t id, const std::string& where) {
  require<ConfigError>(id >= 0 && id < kMostIds,
                       "{}: the token '{}' has the id {}; ids must lie between 0 and {}", where,
                       shown(token), id, kMostIds - 1);
  const auto place = static_cast<size_t>(id);
  if (place >= tokens_.size()) tokens_.resize(place + 1, nullptr);
  require<ConfigError>(tokens_[place] == nullptr,
                       "{}: the id {} belongs to '{}' and to '{}'; give each token its own", where,
                       id, shown(tokens_[place] == nullptr ? "" : *tokens_[place]), shown(token));
  const auto [entry, fresh] = ids_.emplace(std::move(token), static_cast<int32_t>(id));
  require<ConfigError>(fresh, "{}: the token '{}' stands there twice; remove one", where,
                       shown(entry->first));
  tokens_[place] = &entry->first;  // nodes of an unordered_map do not move
}

const std::string* TokenTable::token(int64_t id) const {
  return id >= 0 && id < size() ? tokens_[static_cast<size_t>(id)] : nullptr;
}

std::optional<std::vector<int32_t>> byte_tokens(const TokenTable& tokens) {
  std::vector<int32_t> ids;
  ids.reserve(256);
  for (int byte = 0; byte < 256; ++byte)
    ids.push_back(tokens.find(fmt::format("<0x{:02X}>", byte)));
  for (const int32_t id : ids)
    if (id < 0) return std::nullopt;
  return ids;
}

}  // namespace veomni
