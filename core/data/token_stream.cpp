#include "core/data/token_stream.h"

#include <algorithm>

namespace veomni {

TokenStream::TokenStream(const std::vector<int64_t>& ids, int64_t vocab) {
  const auto store = [&]<class Id>(std::vector<Id> narrow) {
    narrow.resize(ids.size());
    std::transform(ids.begin(), ids.end(), narrow.begin(),
                   [](int64_t id) { return static_cast<Id>(id); });
    ids_ = std::move(narrow);
  };
  if (vocab <= 1 << 8)
    store(std::vector<uint8_t>());
  else if (vocab <= 1 << 16)
    store(std::vector<uint16_t>());
  else
    store(std::vector<int32_t>());
}

int64_t TokenStream::size() const {
  return std::visit([](const auto& ids) { return static_cast<int64_t>(ids.size()); }, ids_);
}

void TokenStream::copy(int64_t begin, int64_t end, std::vector<int64_t>& out) const {
  std::visit([&](const auto& ids) { out.assign(ids.begin() + begin, ids.begin() + end); }, ids_);
}

TextWindows::TextWindows(int64_t split_begin, int64_t split_end, int64_t window, bool train)
    : begin(split_begin), end(split_end), window_tokens(window) {
  const int64_t predicted = end - begin - 1;
  if (predicted < 1) return;
  if (!train) {
    count = (predicted + window - 1) / window;
    return;
  }
  count = std::max<int64_t>(1, (predicted + 1) / window - 1);
  phases = std::clamp<int64_t>(predicted - count * window + 1, 1, window);
}

TextWindows::Span TextWindows::span(int64_t index, int64_t phase) const {
  const int64_t start = begin + phase + index * window_tokens;
  return {start, std::min(window_tokens, end - 1 - start)};
}

}  // namespace veomni
