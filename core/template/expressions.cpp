// Expressions of a running template.
#include <algorithm>

#include "core/error.h"
#include "core/template/characters.h"
#include "core/template/interpreter_depth.h"

namespace veomni::jinja {

using Kind = Node::Kind;
using Is = Value::Kind;

Value Interpreter::evaluate(const Node& node) {
  const Depth depth(*this, node);
  switch (node.kind) {
    case Kind::none:
      return Value::none();
    case Kind::boolean:
      return Value::of(node.integer != 0);
    case Kind::integer:
      return Value::of(node.integer);
    case Kind::real:
      return Value::of(node.real);
    case Kind::text:
      return heap_.text(node.text);
    case Kind::variable:
      return variable(node.text);
    case Kind::attribute:
      return attribute(evaluate(*node.parts[0]), node.text);
    case Kind::item: {
      const Value value = evaluate(*node.parts[0]);
      return item(value, evaluate(*node.parts[1]));
    }
    default:
      return compound(node);
  }
}

Value Interpreter::compound(const Node& node) {
  switch (node.kind) {
    case Kind::list:
      return heap_.sequence(evaluate_all(node.parts));
    case Kind::tuple:
      return heap_.sequence(evaluate_all(node.parts), Sequence::Style::tuple);
    case Kind::mapping:
      return mapping(node);
    case Kind::slice:
      return slice(node);
    case Kind::call: {
      const Value callee = evaluate(*node.parts[0]);
      return call(callee, arguments(node));
    }
    case Kind::filter:
      return apply_filter(node, nullptr);
    case Kind::test: {
      const Value input = evaluate(*node.parts[0]);
      return Value::of(apply_test(node.text, input, arguments(node), *this));
    }
    case Kind::conditional:
      if (truth(evaluate(*node.parts[1]))) return evaluate(*node.parts[0]);
      if (node.parts[2] != nullptr) return evaluate(*node.parts[2]);
      return heap_.undefined("the condition is false, and there is no 'else'");
    default:
      return operation(node);
  }
}

Value Interpreter::operation(const Node& node) {
  switch (node.kind) {
    case Kind::inverse:
      return Value::of(!truth(evaluate(*node.parts[0])));
    case Kind::negate:
    case Kind::positive: {
      const Value value = evaluate(*node.parts[0]);
      if (!value.is_number()) problem("'{}' has no sign", type_name(value));
      const Value zero = Value::of(int64_t{0});
      if (node.kind == Kind::positive) return binary("+", zero, value, heap_);
      return value.is(Is::real) ? Value::of(-value.real) : binary("-", zero, value, heap_);
    }
    case Kind::concat: {
      std::string text;
      for (const Node* part : node.parts) append_text(evaluate(*part), text, heap_);
      return heap_.text(std::move(text));
    }
    case Kind::compare:
      return comparison(node);
    default:
      return chain(node);
  }
}

// Chains such as a + b + c lean to the left: they are walked, so that their length is no depth.
Value Interpreter::chain(const Node& node) {
  const auto is_chain = [](Kind kind) {
    return kind == Kind::binary || kind == Kind::both || kind == Kind::either;
  };
  if (!is_chain(node.kind)) problem("a tag stands where an expression is expected");
  std::vector<const Node*> waiting;
  const Node* at = &node;
  for (; is_chain(at->kind); at = at->parts[0]) waiting.push_back(at);
  Value value = evaluate(*at);
  while (!waiting.empty()) {
    const Node& step = *waiting.back();
    waiting.pop_back();
    heap_.work(8);
    place_ = &step;
    if (step.kind == Kind::binary)
      value = binary(step.text, value, evaluate(*step.parts[1]), heap_);
    else if (truth(value) == (step.kind == Kind::both))
      value = evaluate(*step.parts[1]);
  }
  return value;
}

Value Interpreter::comparison(const Node& node) {
  Value left = evaluate(*node.parts[0]);
  for (size_t i = 0; i < node.names.size(); ++i) {
    const Value right = evaluate(*node.parts[i + 1]);
    const std::string& name = node.names[i];
    bool holds = false;
    if (name == "==" || name == "!=") {
      holds = equal(left, right, heap_) == (name == "==");
    } else if (name == "in" || name == "not in") {
      holds = contains(right, left, heap_) == (name == "in");
    } else {
      const int order = compare(left, right, heap_);
      holds = order != 2 && (name[0] == '<' ? order < 0 : order > 0);
      if (name.size() == 2) holds = holds || order == 0;
    }
    if (!holds) return Value::of(false);
    left = right;
  }
  return Value::of(true);
}

Value Interpreter::mapping(const Node& node) {
  std::vector<std::pair<Value, Value>> items;
  for (size_t i = 0; i + 1 < node.parts.size(); i += 2) {
    const Value key = evaluate(*node.parts[i]);
    if (key.kind >= Is::mapping ||
        (key.is(Is::sequence) && key.sequence->style != Sequence::Style::tuple))
      problem("'{}' cannot be a key", type_name(key));
    const Value value = evaluate(*node.parts[i + 1]);
    const auto there = std::find_if(items.begin(), items.end(), [&](const auto& item) {
      return equal(item.first, key, heap_);
    });
    if (there != items.end())
      there->second = value;
    else
      items.emplace_back(key, value);
  }
  return heap_.mapping(std::move(items));
}

namespace {

/// The indices that Python's slice(first, last, step) takes of `length` items.
std::vector<int64_t> slice_indices(const Value* bounds, int64_t length) {
  const auto bound = [&](const Value& value, int64_t otherwise, int64_t least, int64_t most) {
    if (value.is(Is::none)) return otherwise;
    if (!value.is_integer()) problem("a slice needs integers, not '{}'", type_name(value));
    const int64_t given = value.as_integer();
    return std::clamp(given < 0 ? given + length : given, least, most);
  };
  if (!bounds[2].is(Is::none) && !bounds[2].is_integer())
    problem("a slice needs integers, not '{}'", type_name(bounds[2]));
  const int64_t given = bounds[2].is(Is::none) ? 1 : bounds[2].as_integer();
  if (given == 0) problem("a slice's step cannot be 0");
  const bool down = given < 0;
  const int64_t least = down ? -1 : 0, most = down ? length - 1 : length;
  const int64_t first = bound(bounds[0], down ? most : 0, least, most);
  const int64_t last = bound(bounds[1], down ? -1 : length, least, most);
  std::vector<int64_t> indices;
  const int64_t stride = std::clamp(given, -length - 1, length + 1);
  for (int64_t i = first; down ? i > last : i < last; i += stride) indices.push_back(i);
  return indices;
}

}  // namespace

Value Interpreter::slice(const Node& node) {
  const Value value = evaluate(*node.parts[0]);
  Value bounds[3];
  for (size_t i = 0; i < 3; ++i)
    bounds[i] = node.parts[i + 1] == nullptr ? Value::none() : evaluate(*node.parts[i + 1]);
  if (value.is(Is::text)) {
    const std::vector<Value> characters = items_of(value, heap_);
    std::string text;
    for (const int64_t i : slice_indices(bounds, static_cast<int64_t>(characters.size())))
      text += characters[static_cast<size_t>(i)].text->text;
    return heap_.text(std::move(text));
  }
  const bool list = value.is(Is::sequence) && (value.sequence->style <= Sequence::Style::tuple ||
                                               value.sequence->style == Sequence::Style::range);
  if (!list) {
    if (value.is(Is::undefined) && value.text != nullptr) problem("{}", value.text->text);
    problem("'{}' cannot be sliced", type_name(value));
  }
  const auto& items = value.sequence->items;
  std::vector<Value> taken;
  for (const int64_t i : slice_indices(bounds, static_cast<int64_t>(items.size())))
    taken.push_back(items[static_cast<size_t>(i)]);
  return heap_.sequence(std::move(taken), value.sequence->style);
}

std::vector<Value> Interpreter::evaluate_all(const std::vector<const Node*>& nodes) {
  std::vector<Value> values;
  values.reserve(nodes.size());
  for (const Node* node : nodes) values.push_back(evaluate(*node));
  return values;
}

Arguments Interpreter::arguments(const Node& node) {
  Arguments made;
  const size_t named = node.parts.size() - node.names.size();
  for (size_t i = 1; i < node.parts.size(); ++i) {
    const Value value = evaluate(*node.parts[i]);
    if (i < named)
      made.values.push_back(value);
    else
      made.named.emplace_back(node.names[i - named], value);
  }
  return made;
}

// Filters of a block have no input of their own at the innermost place: it is `input`.
Value Interpreter::apply_filter(const Node& node, const Value* input) {
  const Depth depth(*this, node);
  Value value;
  if (node.parts[0] == nullptr)
    value = *input;
  else if (input != nullptr && node.parts[0]->kind == Kind::filter)
    value = apply_filter(*node.parts[0], input);
  else
    value = evaluate(*node.parts[0]);
  return jinja::apply_filter(node.text, value, arguments(node), *this);
}

Value Interpreter::variable(const std::string& name) {
  for (const Scope* scope = scope_; scope != nullptr; scope = scope->parent) {
    heap_.work(scope->names.size());
    for (const auto& item : scope->names)
      if (item.first == name) return item.second;
  }
  if (is_function(name)) {
    auto* function = heap_.make<Function>();
    function->name = name;
    return of(function);
  }
  return heap_.undefined(fmt::format("'{}' is undefined", name));
}

}  // namespace veomni::jinja
