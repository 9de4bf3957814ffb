// Statements: what prints, branches, repeats and assigns.
#include "core/template/interpreter.h"

#include <exception>

#include "core/error.h"
#include "core/template/interpreter_depth.h"

namespace veomni::jinja {

using Kind = Node::Kind;

Interpreter::Interpreter(const Syntax& syntax, const Source& source, std::time_t now)
    : syntax_(syntax), source_(source), now_(now) {}

std::string Interpreter::run(const Json& variables) {
  try {
    out_ = &root_;
    push_scope();
    for (const auto& [name, value] : variables.items())
      set(heap_.text(name).text->text, heap_.json(value));
    push_scope();
    run_body(syntax_.body);
    return std::move(root_);
  } catch (const RuntimeProblem& error) {
    source_.fail(place_ != nullptr ? place_->at : 0, error.what());
  }
}

Scope* Interpreter::push_scope() { return scope_ = heap_.make<Scope>(scope_); }

void Interpreter::set(std::string_view name, const Value& value) {
  heap_.work(scope_->names.size());
  for (auto& item : scope_->names) {
    if (item.first != name) continue;
    item.second = value;
    return;
  }
  heap_.take(sizeof(Value) + sizeof(std::string_view));
  scope_->names.emplace_back(name, value);
}

void Interpreter::print(std::string_view text) {
  heap_.work(text.size());
  if (out_->size() + text.size() > kOutputBytes)
    problem("prints more than {} MB", kOutputBytes >> 20);
  out_->append(text);
}

Interpreter::Flow Interpreter::run_body(const std::vector<const Node*>& body) {
  for (const Node* node : body)
    if (const Flow flow = run_node(*node); flow != Flow::on) return flow;
  return Flow::on;
}

Interpreter::Flow Interpreter::run_node(const Node& node) {
  const Depth depth(*this, node);
  switch (node.kind) {
    case Kind::data:
      print(node.text);
      break;
    case Kind::print:
      print(to_text(evaluate(*node.parts[0]), heap_));
      break;
    case Kind::branch:
      return run_branch(node);
    case Kind::loop:
      return run_loop(node);
    case Kind::assign:
      assign(*node.parts[0], evaluate(*node.parts[1]));
      break;
    case Kind::assign_member:
      assign_member(node.text, node.names[0], evaluate(*node.parts[0]));
      break;
    case Kind::assign_block:
      run_assign_block(node);
      break;
    case Kind::macro: {
      auto* macro = heap_.make<Macro>();
      macro->node = &node;
      macro->scope = scope_;
      set(node.text, of(macro));
      break;
    }
    case Kind::with:
      return run_with(node);
    case Kind::filtered: {
      const Value input = heap_.text(captured(node.body));
      print(to_text(apply_filter(*node.parts[0], &input), heap_));
      break;
    }
    case Kind::generation:
      run_generation(node);
      break;
    case Kind::stop:
      return Flow::stop;
    case Kind::skip:
      return Flow::skip;
    default:
      problem("an expression stands where a tag is expected");
  }
  return Flow::on;
}

Interpreter::Flow Interpreter::run_branch(const Node& node) {
  for (size_t i = 0; i < node.bodies.size(); ++i)
    if (i >= node.parts.size() || truth(evaluate(*node.parts[i]))) return run_body(node.bodies[i]);
  return Flow::on;
}

std::vector<Value> Interpreter::loop_items(const Node& node) {
  std::vector<Value> items = items_of(evaluate(*node.parts[1]), heap_);
  if (node.parts[2] == nullptr) return items;
  std::vector<Value> kept;
  Scope* outer = scope_;
  for (const Value& item : items) {
    push_scope();
    assign(*node.parts[0], item);
    if (truth(evaluate(*node.parts[2]))) kept.push_back(item);
    scope_ = outer;
  }
  return kept;
}

Interpreter::Flow Interpreter::run_loop(const Node& node) {
  const std::vector<Value> items = loop_items(node);
  heap_.take(items.size() * sizeof(Value));
  Scope* outer = scope_;
  auto* loop = heap_.make<Loop>();
  loop->items = &items;
  loop->length = static_cast<int64_t>(items.size());
  bool ended = false;  // one of the iterations, neither by break nor by continue
  for (loop->index = 0; loop->index < loop->length; ++loop->index) {
    heap_.work(8);
    push_scope();
    set("loop", of(loop));
    assign(*node.parts[0], items[static_cast<size_t>(loop->index)]);
    const Flow flow = run_body(node.body);
    scope_ = outer;
    ended = ended || flow == Flow::on;
    if (flow == Flow::stop) break;
  }
  loop->items = nullptr;  // the object may live on in a namespace
  if (ended || node.other.empty()) return Flow::on;
  push_scope();
  const Flow flow = run_body(node.other);
  scope_ = outer;
  return flow;
}

Interpreter::Flow Interpreter::run_with(const Node& node) {
  std::vector<Value> values;
  for (size_t i = 1; i < node.parts.size(); i += 2) values.push_back(evaluate(*node.parts[i]));
  Scope* outer = scope_;
  push_scope();
  for (size_t i = 0; i < values.size(); ++i) assign(*node.parts[2 * i], values[i]);
  const Flow flow = run_body(node.body);
  scope_ = outer;
  return flow;
}

std::string Interpreter::captured(const std::vector<const Node*>& body) {
  std::string text;
  std::string* out = std::exchange(out_, &text);
  Scope* outer = scope_;
  push_scope();
  run_body(body);
  scope_ = outer;
  out_ = out;
  heap_.take(text.size());
  return text;
}

void Interpreter::run_generation(const Node& node) {
  const size_t begin = out_->size();
  print(captured(node.body));
  if (out_ == &root_)
    spans_.push_back({begin, out_->size()});
  else
    lost_spans_ = true;
}

void Interpreter::run_assign_block(const Node& node) {
  Value value = heap_.text(captured(node.body));
  if (node.parts[1] != nullptr) value = apply_filter(*node.parts[1], &value);
  if (node.parts[0] != nullptr)
    assign(*node.parts[0], value);
  else
    assign_member(node.text, node.names[0], value);
}

void Interpreter::assign(const Node& target, const Value& value) {
  if (target.kind == Kind::variable) return set(target.text, value);
  const std::vector<Value> items = items_of(value, heap_);
  if (items.size() != target.parts.size())
    problem("{} values for {} names", items.size(), target.parts.size());
  for (size_t i = 0; i < items.size(); ++i) assign(*target.parts[i], items[i]);
}

void Interpreter::assign_member(const std::string& space, const std::string& name,
                                const Value& value) {
  const Value holder = variable(space);
  auto* there = holder.is(Value::Kind::object) ? dynamic_cast<Namespace*>(holder.object) : nullptr;
  if (there == nullptr) problem("'{}' is no namespace, so it cannot be assigned to", space);
  heap_.work(there->items.size());
  for (auto& item : there->items) {
    if (item.first != name) continue;
    item.second = value;
    return;
  }
  heap_.take(sizeof(Value) + name.size() + sizeof(std::string_view));
  there->items.emplace_back(name, value);
}

Value Interpreter::call(const Value& callee, const Arguments& given) {
  if (callee.is(Value::Kind::object)) {
    if (const auto* macro = dynamic_cast<const Macro*>(callee.object))
      return call_macro(*macro, given);
    if (const auto* method = dynamic_cast<const Method*>(callee.object))
      return call_method(*method, given, *this);
    if (const auto* function = dynamic_cast<const Function*>(callee.object))
      return call_function(function->name, given, *this);
  }
  if (callee.is(Value::Kind::undefined))
    problem("{}", callee.text != nullptr ? callee.text->text : "the function is undefined");
  problem("'{}' cannot be called", type_name(callee));
}

void Interpreter::bind_macro(const Macro& macro, const Arguments& given, Scope& scope) {
  const auto& names = macro.node->names;
  const auto& defaults = macro.node->parts;
  if (given.values.size() > names.size())
    problem("macro '{}' takes {} arguments, not {}", macro.node->text, names.size(),
            given.values.size());
  for (const auto& item : given.named)
    if (std::find(names.begin(), names.end(), item.first) == names.end())
      problem("macro '{}' has no argument '{}'", macro.node->text, item.first);
  for (size_t i = 0; i < names.size(); ++i) {
    const auto named = std::find_if(given.named.begin(), given.named.end(),
                                    [&](const auto& item) { return item.first == names[i]; });
    if (named != given.named.end() && i < given.values.size())
      problem("macro '{}' got two values for '{}'", macro.node->text, names[i]);
    const size_t first = names.size() - defaults.size();
    Value value;
    if (i < given.values.size())
      value = given.values[i];
    else if (named != given.named.end())
      value = named->second;
    else if (i >= first)
      value = evaluate(*defaults[i - first]);
    else
      value = heap_.undefined(fmt::format("parameter '{}' was not provided", names[i]));
    scope.names.emplace_back(names[i], value);
  }
}

Value Interpreter::call_macro(const Macro& macro, const Arguments& given) {
  const Depth depth(*this, *macro.node);
  Scope* outer = std::exchange(scope_, macro.scope);
  Scope* inner = push_scope();
  bind_macro(macro, given, *inner);
  std::string text;
  std::string* out = std::exchange(out_, &text);
  run_body(macro.node->body);
  out_ = out;
  scope_ = outer;
  return heap_.text(std::move(text));
}

}  // namespace veomni::jinja
