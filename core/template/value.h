#pragma once
// Values of a template: what Python's objects are to Jinja. They live in a heap that one rendering
// owns, so nothing is counted, cycles through namespaces do no harm, and memory has a bound.

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/json.h"

namespace veomni::jinja {

inline constexpr size_t kHeapBytes = size_t{256} << 20;  ///< most memory of one rendering
inline constexpr int64_t kWork = int64_t{100} << 20;     ///< most work, in bytes touched or so
inline constexpr int32_t kValueDepth = 200;              ///< deepest nesting of lists and mappings
inline constexpr int64_t kRangeLength = 100000;          ///< as Jinja's sandbox has it

/// What goes wrong while a template runs; the place is added where it is caught.
struct RuntimeProblem : ConfigError {
  using ConfigError::ConfigError;
};

template <class... Args>
[[noreturn]] void problem(fmt::format_string<Args...> format, Args&&... args) {
  throw RuntimeProblem(fmt::format(format, std::forward<Args>(args)...));
}

struct Text;
struct Sequence;
struct Mapping;
struct Object;

struct Value {
  enum class Kind : uint8_t {
    undefined,
    none,
    boolean,
    integer,
    real,
    text,
    sequence,
    mapping,
    object
  };
  Kind kind = Kind::undefined;
  union {
    bool boolean;
    int64_t integer;
    double real;
    const Text* text = nullptr;  ///< of undefined: what is missing, or null
    const Sequence* sequence;
    const Mapping* mapping;
    Object* object;
  };

  static Value none() { return of(Kind::none); }
  static Value of(bool value) {
    Value made = of(Kind::boolean);
    made.boolean = value;
    return made;
  }
  static Value of(int64_t value) {
    Value made = of(Kind::integer);
    made.integer = value;
    return made;
  }
  static Value of(double value) {
    Value made = of(Kind::real);
    made.real = value;
    return made;
  }
  static Value of(Kind kind) {
    Value made;
    made.kind = kind;
    return made;
  }
  bool is(Kind wanted) const { return kind == wanted; }
  bool is_integer() const { return kind == Kind::integer || kind == Kind::boolean; }
  bool is_number() const { return is_integer() || kind == Kind::real; }
  int64_t as_integer() const { return kind == Kind::boolean ? int64_t{boolean} : integer; }
  double as_real() const { return kind == Kind::real ? real : static_cast<double>(as_integer()); }
};

struct Text {
  std::string text;
  bool safe = false;  ///< went through `safe`: Jinja would escape what is joined to it
};

struct Sequence {
  /// generator: what map, select and the like give (always true, no length, read once);
  /// view: a mapping's keys, values or items.
  enum class Style : uint8_t { list, tuple, generator, view, range };
  Style style = Style::list;
  int32_t depth = 1;
  mutable bool used = false;  ///< a generator was read
  std::vector<Value> items;
};

struct Mapping {
  int32_t depth = 1;
  std::vector<std::pair<Value, Value>> items;  ///< in order of insertion
};

/// Things without a JSON form: namespaces, macros, methods, `loop`.
struct Object {
  virtual ~Object() = default;
  virtual const char* type() const = 0;
};

struct Namespace : Object {
  std::vector<std::pair<std::string, Value>> items;
  const char* type() const override { return "Namespace"; }
};

/// A method of a value, not called yet.
struct Method : Object {
  Value self;
  std::string name;
  const char* type() const override { return "method"; }
};

struct Function : Object {
  std::string name;
  const char* type() const override { return "function"; }
};

/// Owns the values of one rendering, and counts its work.
class Heap {
 public:
  Value text(std::string text, bool safe = false);
  Value sequence(std::vector<Value> items, Sequence::Style style = Sequence::Style::list);
  Value mapping(std::vector<std::pair<Value, Value>> items);
  /// No such variable, attribute or item; `what` tells it in errors.
  Value undefined(std::string what);
  Value json(const Json& json);
  template <class T, class... Args>
  T* make(Args&&... args) {
    take(sizeof(T) + 16);
    auto owned = std::make_unique<T>(std::forward<Args>(args)...);
    T* made = owned.get();
    objects_.push_back(std::move(owned));
    return made;
  }
  /// Counts work, in units of about a byte; throws RuntimeProblem where it is too much.
  void work(size_t units) {
    work_ += static_cast<int64_t>(units);
    if (work_ > kWork) problem("does more than {} steps; simplify the template", kWork);
  }
  /// Counts memory before it is taken.
  void take(size_t bytes) {
    bytes_ += bytes;
    if (bytes_ > kHeapBytes)
      problem("needs more than {} MB; simplify the template", kHeapBytes >> 20);
    work(bytes / 8);
  }

 private:
  std::deque<Text> texts_;
  std::deque<Sequence> sequences_;
  std::deque<Mapping> mappings_;
  std::deque<std::unique_ptr<Object>> objects_;
  size_t bytes_ = 0;
  int64_t work_ = 0;
};

inline Value of(Object* object) {
  Value made = Value::of(Value::Kind::object);
  made.object = object;
  return made;
}

/// 'str', 'int', 'dict object', …, for errors.
std::string type_name(const Value& value);

bool truth(const Value& value);
bool equal(const Value& a, const Value& b, Heap& heap);
/// Python's order: numbers, texts, lists. Throws where the types have none. < 0, 0, > 0; 2: NaN.
int compare(const Value& a, const Value& b, Heap& heap);
bool contains(const Value& container, const Value& item, Heap& heap);
/// The value under a key, or null.
const Value* find(const Mapping& mapping, const Value& key, Heap& heap);
const Value* find(const Mapping& mapping, std::string_view key, Heap& heap);

/// The items that `for` goes over. Throws for values that have none.
std::vector<Value> items_of(const Value& value, Heap& heap);

/// str(value), repr(value) of Python.
std::string to_text(const Value& value, Heap& heap);
void append_text(const Value& value, std::string& out, Heap& heap);
void append_repr(const Value& value, std::string& out, Heap& heap);
std::string real_text(double value);  ///< repr of a float

/// As Python's json.dumps writes it.
struct JsonStyle {
  std::string indent, item_separator = ", ", key_separator = ": ";
  bool indented = false, ascii = false, sort_keys = false;
};
std::string json_text(const Value& value, const JsonStyle& style, Heap& heap);

}  // namespace veomni::jinja
