#pragma once
// The syntax tree of a template.

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "core/template/lexer.h"

namespace veomni::jinja {

/// One node, of an expression or a statement. What `parts`, `names`, `text`, `body` and `other` hold:
struct Node {
  enum class Kind {
    // Expressions
    none,
    boolean,      ///< integer 0 or 1
    integer,      ///< integer
    real,         ///< real
    text,         ///< text
    variable,     ///< text
    list,         ///< parts
    tuple,        ///< parts
    mapping,      ///< parts: key, value, key, value, …
    attribute,    ///< parts[0] `.` text
    item,         ///< parts[0] `[` parts[1] `]`
    slice,        ///< parts[0] `[` parts[1] `:` parts[2] `:` parts[3] `]`, absent ones null
    call,         ///< parts[0], then arguments; the last names.size() of them have these names
    filter,       ///< parts[0] `|` text, then as in call; in filter blocks parts[0] is null
    test,         ///< parts[0] `is` text, then as in call
    negate,       ///< parts[0]
    positive,     ///< parts[0]
    inverse,      ///< `not` parts[0]
    binary,       ///< parts[0] text parts[1]; text: + - * / // % **
    concat,       ///< parts, joined by ~
    compare,      ///< parts[0] names[0] parts[1] names[1] parts[2] …
    both,         ///< parts[0] `and` parts[1]
    either,       ///< parts[0] `or` parts[1]
    conditional,  ///< parts[0] if parts[1] else parts[2], which may be null
    // Statements
    data,           ///< text
    print,          ///< parts[0]
    branch,         ///< parts[i]: conditions; bodies[i], and one more for `else`
    loop,           ///< target parts[0], in parts[1], if parts[2] or null; body, other for `else`
    assign,         ///< parts[0] = parts[1]
    assign_member,  ///< text . names[0] = parts[0]
    assign_block,   ///< parts[0] = body, through the filter parts[1] or null; or text . names[0]
    macro,          ///< text; names: arguments, parts: defaults of the last ones; body
    with,           ///< parts: target, value, …; body
    filtered,       ///< body through parts[0]
    generation,     ///< body
    stop,           ///< break
    skip,           ///< continue
  };
  Kind kind = Kind::none;
  size_t at = 0;  ///< byte in the source
  std::string text;
  int64_t integer = 0;
  double real = 0;
  std::vector<const Node*> parts;
  std::vector<std::string> names;
  std::vector<const Node*> body, other;
  std::vector<std::vector<const Node*>> bodies;
};

struct Syntax {
  std::deque<Node> nodes;  ///< owns all, so that freeing them needs no recursion
  std::vector<const Node*> body;
  bool has_generation = false;
};

inline constexpr int32_t kSyntaxDepth = 100;  ///< deepest nesting of brackets and blocks

/// Throws ConfigError `name:line:column: …`; constructs that are not supported are named.
Syntax parse(const Source& source);

/// What filters, tests, methods and functions there are; the parser refuses others.
bool is_filter(std::string_view name);
bool is_test(std::string_view name);
bool is_method(std::string_view name);

}  // namespace veomni::jinja
