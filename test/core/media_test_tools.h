#pragma once
// What the tests of images and sounds share: an encoder's preprocessor, and values it must give.

#include <catch2/catch.hpp>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "core/data/preprocessor.h"
#include "core/recipe/spec.h"
#include "data_test_tools.h"

namespace veomni::data_test {

struct Expected {
  int64_t row, column;
  double value;
};

/// The preprocessor of an encoder with these keys and the defaults of the others.
inline std::unique_ptr<Preprocessor> preprocessor(const PartSpec& spec, Json keys) {
  for (const Key& key : spec.keys)
    if (!keys.contains(key.name) && !key.default_value.is_null())
      keys[key.name] = key.default_value;
  return spec.make_preprocessor({"part", spec.type, keys}, Json::object());
}

inline Record record_of(Value value) {
  Record made;
  made.names = std::make_shared<const std::vector<std::string>>(std::vector<std::string>{"field"});
  made.values.push_back(std::move(value));
  return made;
}

inline PartInput prepared(const PartSpec& spec, const Json& keys, Value value) {
  return preprocessor(spec, keys)
      ->prepare(record_of(std::move(value)), segment("part", "field"), 0);
}

inline void check_values(const HostArray& array, const std::vector<Expected>& expected) {
  const auto& values = std::get<std::vector<float>>(array.data);
  const int64_t columns = static_cast<int64_t>(values.size()) / array.shape[0];
  for (const auto& [row, column, value] : expected) {
    INFO(row << ", " << column);
    CHECK(std::abs(values.at(static_cast<size_t>(row * columns + column)) - value) < 2e-6);
  }
}

}  // namespace veomni::data_test
