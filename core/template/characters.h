#pragma once
// Texts as Python's str sees them: code points, white space, case. All texts are valid UTF-8.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace veomni::jinja {

/// The code point at `offset`, which moves behind it.
int32_t code_at(std::string_view text, size_t& offset);

bool is_space(int32_t code);      ///< str.isspace
bool is_printable(int32_t code);  ///< str.isprintable: what repr shows as it is

int64_t length_of(std::string_view text);  ///< code points
/// The byte where code point `index` starts; the end when there are fewer.
size_t byte_of(std::string_view text, int64_t index);

size_t last_code_point(std::string_view text);  ///< the byte where it starts; `text` is not empty

/// Without the code points of `characters` (white space when empty) at its sides.
std::string_view strip(std::string_view text, std::string_view characters, bool left, bool right);

std::string lower(std::string_view text);
std::string upper(std::string_view text);
std::string capitalize(std::string_view text);
std::string title(std::string_view text);  ///< str.title: a capital behind every uncased character

/// isalpha, isdigit, isalnum of one code point.
bool is_class(int32_t code, std::string_view method);

/// Calls `use` with each line of str.splitlines().
void each_line(std::string_view text, bool keep_ends,
               const std::function<void(std::string_view)>& use);

}  // namespace veomni::jinja
