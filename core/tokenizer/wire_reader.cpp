#include "core/tokenizer/wire_reader.h"

#include <bit>

#include "core/error.h"

namespace veomni {

void WireReader::refuse(const char* what) const {
  throw ConfigError(
      fmt::format("{}: {}; is it a SentencePiece model? copy the file again", where_, what));
}

uint64_t WireReader::varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (rest_.empty()) refuse("a number is cut short");
    const auto byte = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    if (shift == 63 && byte > 1) break;
    value |= uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) return value;
  }
  refuse("a number is too long");
}

uint64_t WireReader::fixed(size_t bytes) {
  if (rest_.size() < bytes) refuse("a number is cut short");
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value |= uint64_t{static_cast<uint8_t>(rest_[i])} << (8 * i);
  rest_.remove_prefix(bytes);
  return value;
}

bool WireReader::next(WireField& field) {
  if (rest_.empty()) return false;
  const uint64_t tag = varint();
  if (tag >> 3 == 0 || tag >> 3 > 0x1FFFFFFF) refuse("a field's number is out of range");
  field = WireField();
  field.number = static_cast<int32_t>(tag >> 3);
  switch (tag & 7) {
    case 0:
      field.value = varint();
      break;
    case 1:
      field.kind = WireField::Kind::fixed64, field.value = fixed(8);
      break;
    case 2: {
      const uint64_t length = varint();
      if (length > rest_.size()) refuse("a field is longer than what holds it");
      field.kind = WireField::Kind::bytes;
      field.bytes = rest_.substr(0, static_cast<size_t>(length));
      rest_.remove_prefix(static_cast<size_t>(length));
      break;
    }
    case 5:
      field.kind = WireField::Kind::fixed32, field.value = fixed(4);
      break;
    default:
      refuse("a field has an unknown wire type");
  }
  return true;
}

std::string_view WireReader::bytes_of(const WireField& field) const {
  if (field.kind != WireField::Kind::bytes) refuse("a text or message has another wire type");
  return field.bytes;
}

int64_t WireReader::integer_of(const WireField& field) const {
  if (field.kind != WireField::Kind::varint) refuse("an integer has another wire type");
  return static_cast<int64_t>(field.value);
}

float WireReader::float_of(const WireField& field) const {
  if (field.kind != WireField::Kind::fixed32) refuse("a float has another wire type");
  return std::bit_cast<float>(static_cast<uint32_t>(field.value));
}

}  // namespace veomni
