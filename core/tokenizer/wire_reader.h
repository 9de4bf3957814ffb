#pragma once
// The wire format of protocol buffers, as far as SentencePiece's models need it
// (protobuf.dev/programming-guides/encoding).

#include <cstdint>
#include <string>
#include <string_view>

namespace veomni {

/// One field of a message. `bytes` is a view into the message.
struct WireField {
  enum class Kind { varint, fixed64, bytes, fixed32 };
  int32_t number = 0;
  Kind kind = Kind::varint;
  uint64_t value = 0;      ///< varint, fixed64 and fixed32
  std::string_view bytes;  ///< bytes: text or a message
};

class WireReader {
 public:
  /// `where` names the message in errors.
  WireReader(std::string_view message, std::string where)
      : rest_(message), where_(std::move(where)) {}

  /// The next field; false at the end. Throws ConfigError for anything that is no message: lengths
  /// beyond its end, numbers longer than 10 bytes, groups, field number 0.
  bool next(WireField& field);

  /// The value as what it must be; throws ConfigError where the file has another kind.
  std::string_view bytes_of(const WireField& field) const;
  int64_t integer_of(const WireField& field) const;
  float float_of(const WireField& field) const;

 private:
  uint64_t varint();
  uint64_t fixed(size_t bytes);
  [[noreturn]] void refuse(const char* what) const;

  std::string_view rest_;
  std::string where_;
};

}  // namespace veomni
