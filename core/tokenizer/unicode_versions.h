#pragma once
// Where Unicode versions would make ids differ: PCRE2 10.42 knows Unicode 14 and utf8proc 2.8 Unicode 15, while the Python
// package `tokenizers` 0.23 finds words with Unicode 16 (Oniguruma) and normalizes with Unicode 9. Its ids are the aim.

#include <cstdint>
#include <string>
#include <string_view>

namespace veomni {

/// `text` for PCRE2: characters of Unicode 15 to 16 become older ones of the same general category and as many bytes, so
/// that places stay. `text` itself where it has none, else `copy`, which holds the result.
std::string_view for_regex(std::string_view text, std::string& copy);

/// Characters that Unicode 9 does not have and that would move or change in a normal form: they stay, and nothing
/// passes them.
bool stays_in_normal_forms(int32_t code);

}  // namespace veomni
