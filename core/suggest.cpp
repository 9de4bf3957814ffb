#include "core/suggest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace veomni {

namespace {
constexpr size_t kLongestName =
    64;  // longer ones are not compared: the table grows with the square
constexpr size_t kListed = 12;
constexpr size_t kTellingStart = 3;  // so many first letters tell what was meant
}  // namespace

size_t edit_distance(std::string_view a, std::string_view b) {
  const size_t width = b.size() + 1;
  std::vector<size_t> cost((a.size() + 1) * width);
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      size_t& here = cost[i * width + j];
      if (i == 0 || j == 0) {
        here = i + j;
        continue;
      }
      const size_t replace = cost[(i - 1) * width + j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      here = std::min({cost[(i - 1) * width + j] + 1, cost[i * width + j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        here = std::min(here, cost[(i - 2) * width + j - 2] + 1);
      }
    }
  }
  return cost.back();
}

std::string closest(std::string_view name, const std::vector<std::string>& known) {
  if (name.size() > kLongestName) return "";
  size_t best = kLongestName;
  std::string found;
  for (const std::string& candidate : known) {
    if (candidate.size() > kLongestName) continue;
    const size_t allowed = std::max<size_t>(1, (std::max(name.size(), candidate.size()) + 1) / 3);
    const bool begins = name.size() >= kTellingStart && candidate.starts_with(name);
    // A name cut short comes after every typing mistake.
    const size_t distance =
        std::min(edit_distance(name, candidate), begins ? allowed : kLongestName);
    if (distance <= allowed && distance < best) {
      best = distance;
      found = candidate;
    }
  }
  return found;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& known) {
  if (const std::string found = closest(name, known); !found.empty()) {
    return fmt::format("; did you mean '{}'?", found);
  }
  if (known.empty()) return "";
  const auto last = known.begin() + static_cast<std::ptrdiff_t>(std::min(known.size(), kListed));
  return fmt::format("; known: {}{}", fmt::join(known.begin(), last, ", "),
                     known.size() > kListed ? ", …" : "");
}

std::string divisors(int64_t number) {
  std::string text;
  for (int64_t d = 1; d <= number; ++d)
    if (number % d == 0) text += (text.empty() ? "" : ", ") + std::to_string(d);
  return text;
}

}  // namespace veomni
