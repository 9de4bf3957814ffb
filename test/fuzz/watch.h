#pragma once
// Limits of one execution, and what is kept when it breaks them or crashes.

#include <cstdint>
#include <string>

namespace veomni::fuzz {

/// Watches an execution while it lives: more than kMostSeconds of processor time, or (under the
/// address sanitizer) kMostBytes of memory more than at its start, ends the program; so does a
/// report of a sanitizer. Before, the input is written to `finding`.
class Watch {
 public:
  Watch(const std::string& input, const std::string& finding);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  static constexpr int kMostSeconds = 20;
  static constexpr int64_t kMostBytes = int64_t{512} << 20;
};

/// Writes the bytes; used where nothing may allocate.
void keep(const std::string& input, const std::string& finding);

}  // namespace veomni::fuzz
