#include "core/template/search.h"

#include <cstring>

namespace veomni::jinja {

size_t find_text(std::string_view text, std::string_view wanted, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  const void* found =
      ::memmem(text.data() + from, text.size() - from, wanted.data(), wanted.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

Search::Search(std::string_view text, std::string_view wanted, bool from_right)
    : text_(text), wanted_(wanted), from_right_(from_right) {
  if (!from_right) return;
  turned_.assign(text.rbegin(), text.rend());
  wanted_.assign(wanted.rbegin(), wanted.rend());
}

size_t Search::next() {
  const size_t found = find_text(from_right_ ? std::string_view(turned_) : text_, wanted_, done_);
  if (found == std::string_view::npos) return found;
  done_ = found + wanted_.size();
  return from_right_ ? text_.size() - done_ : found;
}

}  // namespace veomni::jinja
