#include "fuzz/mutate.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace veomni::fuzz {
namespace {

constexpr std::array<uint64_t, 20> kNumbers = {0,
                                               1,
                                               2,
                                               7,
                                               8,
                                               127,
                                               128,
                                               255,
                                               256,
                                               32767,
                                               65535,
                                               65536,
                                               (1u << 24) - 1,
                                               (1u << 24),
                                               0x7fffffff,
                                               0x80000000,
                                               0xffffffff,
                                               uint64_t{1} << 62,
                                               uint64_t{1} << 63,
                                               ~uint64_t{0}};
constexpr std::array<const char*, 14> kTexts = {
    "0",   "-1",    "1.5",      "1e999", "-0",         "4294967296", "4611686018427387904",
    "255", "65536", "16777215", "1e-9",  "2147483647", "null",       "18446744073709551616"};
constexpr std::string_view kMarks = "{}[],:\"";

}  // namespace

std::string Mutator::mutate(std::string bytes, const std::string& other) {
  for (size_t changes = 1 + below(2) * below(6); changes > 0; --changes) change(bytes, other);
  return bytes;
}

void Mutator::change(std::string& bytes, const std::string& other) {
  switch (below(11)) {
    case 0:
    case 1:
      return flip(bytes);
    case 2:
      return overwrite_number(bytes);
    case 3:
    case 4:
      return replace_digits(bytes);
    case 5:
    case 6:
      return move_token(bytes, other);
    case 7:
      return insert(bytes, below(2) == 0 ? piece_of(bytes) : piece_of(other));
    case 8:
      return erase(bytes);
    case 9:
      if (below(4) == 0) bytes.resize(below(bytes.size() + 1));
      return;
    default:
      if (words_.empty()) return flip(bytes);
      return insert(bytes, words_[below(words_.size())]);
  }
}

void Mutator::flip(std::string& bytes) {
  if (bytes.empty()) return;
  char& byte = bytes[below(bytes.size())];
  byte = static_cast<char>(below(2) == 0 ? static_cast<size_t>(byte) ^ (size_t{1} << below(8))
                                         : below(256));
}

void Mutator::overwrite_number(std::string& bytes) {
  const size_t width = size_t{1} << below(4), at = below(bytes.size());
  const uint64_t value = kNumbers[below(kNumbers.size())] + below(3) - 1;
  const bool big = below(2) == 0;
  for (size_t i = 0; i < width && at + i < bytes.size(); ++i)
    bytes[at + i] = static_cast<char>(value >> (8 * (big ? width - 1 - i : i)));
}

void Mutator::replace_digits(std::string& bytes) {
  const size_t begin = bytes.find_first_of("0123456789", below(bytes.size()));
  if (begin == std::string::npos) return flip(bytes);
  const size_t end = std::min(bytes.size(), bytes.find_first_not_of("0123456789", begin));
  bytes.replace(begin, end - begin,
                below(3) == 0 ? std::to_string(below(64)) : kTexts[below(kTexts.size())]);
}

void Mutator::move_token(std::string& bytes, const std::string& other) {
  const auto token = [&](const std::string& text) {
    const size_t mark = std::min(text.size(), text.find_first_of(kMarks, below(text.size())));
    const size_t end =
        std::min(text.size(), text.find_first_of(kMarks, std::min(text.size(), mark + 1)));
    return std::pair(std::min(mark + 1, end), end);
  };
  const auto [begin, end] = token(bytes);
  const std::string& lender = below(2) == 0 ? bytes : other;
  const auto [from, to] = token(lender);
  const std::string piece = lender.substr(from, to - from);
  bytes.replace(begin, end - begin, piece);
}

void Mutator::insert(std::string& bytes, const std::string& piece) {
  bytes.insert(below(bytes.size() + 1), piece);
}

void Mutator::erase(std::string& bytes) {
  const size_t at = below(bytes.size());
  bytes.erase(at, 1 + below(below(4) == 0 ? bytes.size() : 8));
}

std::string Mutator::piece_of(const std::string& bytes) {
  return bytes.substr(below(bytes.size()), 1 + below(below(4) == 0 ? 200 : 16));
}

}  // namespace veomni::fuzz
