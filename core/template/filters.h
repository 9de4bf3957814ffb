#pragma once
// What the files of filters share.

#include "core/template/interpreter.h"

namespace veomni::jinja {

/// One application of a filter or function.
struct FilterCall {
  const char* name;
  const Value& input;
  const Arguments& arguments;
  Interpreter& run;
  Heap& heap;

  Bound bind(std::initializer_list<std::string_view> names) const {
    return Bound(name, names, arguments);
  }
  /// str(input): Jinja's soft_str.
  std::string text() const {
    if (input.is(Value::Kind::text)) return text_of(input, name);
    return to_text(input, heap);
  }
  Value list(std::vector<Value> items, Sequence::Style style = Sequence::Style::list) const {
    return heap.sequence(std::move(items), style);
  }
};

struct FilterEntry {
  std::string_view name;
  Value (*run)(const FilterCall&);
};

/// Filters on sequences; null when there is none of that name.
const FilterEntry* sequence_filter(std::string_view name);

}  // namespace veomni::jinja
