#pragma once
// "Did you mean": the known name closest to a mistyped one.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace veomni {

/// Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`.
/// Optimal string alignment distance (Damerau 1964; Wagner & Fischer 1974).
size_t edit_distance(std::string_view a, std::string_view b);

/// The known name within a third of the length (at least one edit), or that starts with `name`;
/// empty when none is close.
std::string closest(std::string_view name, const std::vector<std::string>& known);

/// `; did you mean 'steps'?`, or `; known: a, b, c` when nothing is close, or empty when nothing is
/// known.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& known);

/// `1, 2, 4`: what divides `number`, for what must.
std::string divisors(int64_t number);

}  // namespace veomni
