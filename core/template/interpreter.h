#pragma once
// Runs a syntax tree: one object a rendering.

#include <ctime>
#include <initializer_list>
#include <string>
#include <vector>

#include "core/template/syntax.h"
#include "core/template/value.h"

namespace veomni::jinja {

inline constexpr int32_t kRunDepth = 400;  ///< deepest nesting of nodes while running
inline constexpr size_t kOutputBytes = size_t{64} << 20;  ///< longest text rendered

/// Names of one block; looked up from the innermost outwards.
struct Scope : Object {
  explicit Scope(Scope* outer) : parent(outer) {}
  Scope* parent;
  std::vector<std::pair<std::string_view, Value>> names;
  const char* type() const override { return "scope"; }
};

struct Macro : Object {
  const Node* node = nullptr;
  Scope* scope = nullptr;  ///< where it was defined
  const char* type() const override { return "macro"; }
};

/// The variable `loop`.
struct Loop : Object {
  const std::vector<Value>* items = nullptr;  ///< null when the loop has ended
  int64_t index = 0;                          ///< from 0
  int64_t length = 0;
  const char* type() const override { return "loop"; }
};

/// What a filter, test, method or function is called with.
struct Arguments {
  std::vector<Value> values;
  std::vector<std::pair<std::string_view, Value>> named;
};

/// Arguments by the names of a function's parameters.
class Bound {
 public:
  /// Throws RuntimeProblem when there are too many, or one of another name.
  Bound(const char* function, std::initializer_list<std::string_view> names,
        const Arguments& arguments);
  bool has(size_t i) const { return given_[i]; }
  const Value& operator[](size_t i) const { return values_[i]; }
  const Value& need(size_t i) const;
  bool flag(size_t i, bool otherwise) const { return given_[i] ? truth(values_[i]) : otherwise; }
  int64_t integer(size_t i, int64_t otherwise) const;
  std::string text(size_t i, const std::string& otherwise) const;
  /// Given, and not None.
  bool some(size_t i) const { return given_[i] && !values_[i].is(Value::Kind::none); }

 private:
  const char* function_;
  std::vector<std::string_view> names_;
  std::vector<Value> values_;
  std::vector<bool> given_;
};

class Interpreter {
 public:
  struct Span {
    size_t begin, end;
  };

  /// `syntax` must outlive the interpreter. `now`: what strftime_now shows.
  Interpreter(const Syntax& syntax, const Source& source, std::time_t now);

  /// Renders; problems are thrown as ConfigError with their place.
  std::string run(const Json& variables);
  const std::vector<Span>& spans() const { return spans_; }  ///< of the generation blocks
  bool lost_spans() const { return lost_spans_; }  ///< one of them stood inside a macro or the like

  Heap& heap() { return heap_; }
  std::time_t now() const { return now_; }
  Value call(const Value& callee, const Arguments& arguments);
  Value attribute(const Value& value, const std::string& name);
  Value item(const Value& value, const Value& key);

 private:
  enum class Flow { on, stop, skip };
  class Depth;

  Flow run_body(const std::vector<const Node*>& body);
  Flow run_node(const Node& node);
  Flow run_branch(const Node& node);
  Flow run_loop(const Node& node);
  Flow run_with(const Node& node);
  void run_generation(const Node& node);
  void run_assign_block(const Node& node);
  std::vector<Value> loop_items(const Node& node);
  /// What a body prints, on its own and in a scope of its own.
  std::string captured(const std::vector<const Node*>& body);
  void print(std::string_view text);

  Value evaluate(const Node& node);
  Value compound(const Node& node);
  Value operation(const Node& node);
  Value chain(const Node& node);
  Value comparison(const Node& node);
  Value slice(const Node& node);
  Value mapping(const Node& node);
  Value apply_filter(const Node& node, const Value* input);
  std::vector<Value> evaluate_all(const std::vector<const Node*>& nodes);
  Arguments arguments(const Node& node);
  Value variable(const std::string& name);
  Value call_macro(const Macro& macro, const Arguments& arguments);
  void bind_macro(const Macro& macro, const Arguments& given, Scope& scope);

  void assign(const Node& target, const Value& value);
  void assign_member(const std::string& space, const std::string& name, const Value& value);
  void set(std::string_view name, const Value& value);
  Scope* push_scope();

  const Syntax& syntax_;
  const Source& source_;
  std::time_t now_;
  Heap heap_;
  Scope* scope_ = nullptr;
  std::string* out_ = nullptr;
  std::string root_;
  const Node* place_ = nullptr;  ///< the innermost node that runs, for errors
  int32_t depth_ = 0;
  std::vector<Span> spans_;
  bool lost_spans_ = false;
};

/// `name` must be one that is_filter, is_test or is_method knows.
Value apply_filter(std::string_view name, const Value& input, const Arguments& arguments,
                   Interpreter& run);
bool apply_test(std::string_view name, const Value& input, const Arguments& arguments,
                Interpreter& run);
Value call_method(const Method& method, const Arguments& arguments, Interpreter& run);
/// The method of that name that the value has in Python, whether supported or not.
bool has_method(const Value& value, std::string_view name);
Value call_function(const std::string& name, const Arguments& arguments, Interpreter& run);
bool is_function(std::string_view name);
/// `a + b` and the like.
Value binary(std::string_view operation, const Value& a, const Value& b, Heap& heap);
/// Python's str.replace, at most `count` times where that is not negative.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to,
                        int64_t count, Heap& heap);
/// The text of a value that must be one.
const std::string& text_of(const Value& value, const char* what);

}  // namespace veomni::jinja
