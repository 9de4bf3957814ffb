#pragma once
// One row, line, document or file as a source reads it, before any part looks at it.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace veomni {

/// 8-bit pixels, row-major [height, width, channels]; channels 1 (grey) or 3 (RGB).
struct Image {
  int64_t height = 0, width = 0, channels = 0;
  std::vector<uint8_t> pixels;
};

/// One channel of samples on the -1..1 scale; several channels of a file are averaged.
struct Sound {
  int64_t rate = 0;  ///< samples a second
  std::vector<float> samples;
};

/// A field's value; monostate means missing (empty cell, JSON null, absent key).
using Value = std::variant<std::monostate, int64_t, double, std::string, Image, std::vector<Image>,
                           std::vector<int64_t>, std::vector<std::string>, Sound>;

/// Field names are shared by all records of a source.
struct Record {
  std::shared_ptr<const std::vector<std::string>> names;
  std::vector<Value> values;  ///< one per name
  int64_t index = 0;          ///< position in the source, in file order

  /// The value, or null when the source has no such field.
  const Value* find(std::string_view name) const;
  /// The same, looking from `hint` on and leaving it behind the field found: columns asked for in
  /// order cost one comparison each.
  const Value* find(std::string_view name, size_t& hint) const;
};

/// No such field, monostate, or a cell of blanks.
bool is_missing(const Value* value);

/// A number from an integer, a real or the text of a cell ("12", " 3.5 "); false when it is missing
/// or not a number.
bool to_number(const Value& value, double& number);

/// The text a categorical column compares by: strings as they are (trimmed), numbers in shortest
/// form. Missing: "".
std::string to_category(const Value& value);
/// The same without a copy where the value is a string; the view lives as long as `value` and
/// `scratch`.
std::string_view to_category(const Value& value, std::string& scratch);

}  // namespace veomni
