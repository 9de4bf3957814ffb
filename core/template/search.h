#pragma once
// Finds a text in another in time proportional to their lengths; std::string::find needs their product.

#include <string>
#include <string_view>

namespace veomni::jinja {

/// The byte of the first occurrence of `wanted` at or behind `from`, or npos.
size_t find_text(std::string_view text, std::string_view wanted, size_t from = 0);

/// Occurrences that do not overlap, from one side; `wanted` is not empty. `text` must outlive it.
class Search {
 public:
  Search(std::string_view text, std::string_view wanted, bool from_right);
  /// The byte where the next one starts, or npos.
  size_t next();

 private:
  std::string_view text_;
  std::string wanted_, turned_;  ///< both back to front when the search comes from the right
  bool from_right_;
  size_t done_ = 0;
};

}  // namespace veomni::jinja
