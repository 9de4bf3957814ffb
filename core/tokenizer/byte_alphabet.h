#pragma once
// GPT-2's alphabet: each byte as a printable character.

#include <array>
#include <string>
#include <string_view>

namespace veomni {

/// Appends each byte of `text` as its character: 'a' stays, ' ' becomes 'Ġ'.
void append_byte_characters(std::string_view text, std::string& out);

/// Appends the bytes that the characters of `token` stand for; false, and nothing appended, where
/// one stands for none.
bool append_bytes_of(std::string_view token, std::string& out);

}  // namespace veomni
