#include <algorithm>

#include "core/error.h"
#include "core/template/parser.h"

namespace veomni::jinja {
namespace {
using Type = Token::Type;
using Kind = Node::Kind;
}  // namespace

bool TokenReader::skip_symbol(std::string_view symbol) {
  if (!now().symbol(symbol)) return false;
  next();
  return true;
}

bool TokenReader::skip_name(std::string_view name) {
  if (!now().name(name)) return false;
  next();
  return true;
}

std::string TokenReader::shown_token() const {
  switch (now().type) {
    case Type::end:
      return "the end of the template";
    case Type::string:
      return "a text";
    case Type::integer:
    case Type::real:
      return "a number";
    default:
      return "'" + now().text + "'";
  }
}

void TokenReader::expect_symbol(std::string_view symbol) {
  if (!skip_symbol(symbol)) fail(fmt::format("expected '{}', not {}", symbol, shown_token()));
}

void TokenReader::expect_name(std::string_view name) {
  if (!skip_name(name)) fail(fmt::format("expected '{}', not {}", name, shown_token()));
}

std::string TokenReader::expect_any_name() {
  if (now().type != Type::name) fail(fmt::format("expected a name, not {}", shown_token()));
  return next().text;
}

Node* ExpressionParser::expression(bool conditional) {
  const Level level(*this);
  Node* node = either();
  while (conditional && now().name("if")) {
    Node* whole = make(Kind::conditional, next().at);
    Node* condition = either();
    whole->parts = {node, condition, skip_name("else") ? expression() : nullptr};
    node = whole;
  }
  return node;
}

Node* ExpressionParser::either() {
  Node* left = both();
  while (now().name("or")) {
    Node* node = make(Kind::either, next().at);
    node->parts = {left, both()};
    left = node;
  }
  return left;
}

Node* ExpressionParser::both() {
  Node* left = inverse();
  while (now().name("and")) {
    Node* node = make(Kind::both, next().at);
    node->parts = {left, inverse()};
    left = node;
  }
  return left;
}

Node* ExpressionParser::inverse() {
  if (!now().name("not")) return comparison();
  const Level level(*this);
  Node* node = make(Kind::inverse, next().at);
  node->parts = {inverse()};
  return node;
}

Node* ExpressionParser::comparison() {
  Node* first = sum();
  Node* node = nullptr;
  while (true) {
    static constexpr std::string_view kSymbols[] = {"==", "!=", "<", "<=", ">", ">="};
    const size_t at = now().at;
    std::string name;
    if (now().type == Type::symbol &&
        std::find(std::begin(kSymbols), std::end(kSymbols), now().text) != std::end(kSymbols)) {
      name = next().text;
    } else if (skip_name("in")) {
      name = "in";
    } else if (now().name("not") && after().name("in")) {
      next();
      next();
      name = "not in";
    } else {
      return node != nullptr ? node : first;
    }
    if (node == nullptr) {
      node = make(Kind::compare, at);
      node->parts = {first};
    }
    node->names.push_back(name);
    node->parts.push_back(sum());
  }
}

Node* ExpressionParser::binary(Node* left, Node* (ExpressionParser::*operand)()) {
  Node* node = make(Kind::binary, now().at);
  node->text = next().text;
  node->parts = {left, (this->*operand)()};
  return node;
}

Node* ExpressionParser::sum() {
  Node* left = concat();
  while (now().symbol("+") || now().symbol("-")) left = binary(left, &ExpressionParser::concat);
  return left;
}

Node* ExpressionParser::concat() {
  Node* first = product();
  if (!now().symbol("~")) return first;
  Node* node = make(Kind::concat, now().at);
  node->parts = {first};
  while (skip_symbol("~")) node->parts.push_back(product());
  return node;
}

Node* ExpressionParser::product() {
  Node* left = power();
  while (now().symbol("*") || now().symbol("/") || now().symbol("//") || now().symbol("%"))
    left = binary(left, &ExpressionParser::power);
  return left;
}

Node* ExpressionParser::power() {
  Node* left = unary();
  while (now().symbol("**")) {
    Node* node = make(Kind::binary, now().at);
    node->text = next().text;
    node->parts = {left, unary()};
    left = node;
  }
  return left;
}

Node* ExpressionParser::unary(bool with_filters) {
  const Level level(*this);
  Node* node = nullptr;
  if (now().symbol("-") || now().symbol("+")) {
    node = make(now().symbol("-") ? Kind::negate : Kind::positive, now().at);
    next();
    node->parts = {unary(false)};
  } else {
    node = primary();
  }
  node = postfix(node);
  return with_filters ? suffixes(node) : node;
}

Node* ExpressionParser::primary() {
  const Token& token = now();
  if (token.type == Type::name) return constant_or_variable();
  if (token.type == Type::string) {
    Node* node = make(Kind::text, token.at);
    while (now().type == Type::string) node->text += next().text;
    return node;
  }
  if (token.type == Type::integer || token.type == Type::real) {
    Node* node = make(token.type == Type::integer ? Kind::integer : Kind::real, token.at);
    node->integer = token.integer;
    node->real = token.real;
    next();
    return node;
  }
  if (skip_symbol("(")) {
    Node* node = tuple(true, "", true);
    expect_symbol(")");
    return node;
  }
  if (token.symbol("[")) return list();
  if (token.symbol("{")) return mapping();
  fail(fmt::format("expected an expression, not {}", shown_token()));
}

Node* ExpressionParser::constant_or_variable() {
  const Token& token = next();
  const std::string& name = token.text;
  if (name == "none" || name == "None") return make(Kind::none, token.at);
  const bool yes = name == "true" || name == "True";
  if (yes || name == "false" || name == "False") {
    Node* node = make(Kind::boolean, token.at);
    node->integer = yes;
    return node;
  }
  for (const char* inner : {"varargs", "kwargs", "caller", "self", "super"})
    if (name == inner)
      fail_at(token.at, fmt::format("'{}' is not supported in templates here", name));
  Node* node = make(Kind::variable, token.at);
  node->text = name;
  return node;
}

bool ExpressionParser::tuple_ends(std::string_view stop) const {
  return now().type == Type::print_end || now().type == Type::block_end || now().symbol(")") ||
         (!stop.empty() && now().name(stop));
}

Node* ExpressionParser::tuple(bool conditional, std::string_view stop, bool parentheses) {
  const size_t at = now().at;
  std::vector<const Node*> parts;
  bool commas = false;
  while (!tuple_ends(stop)) {
    Node* part = expression(conditional);
    if (!commas && !now().symbol(",")) return part;
    parts.push_back(part);
    if (!skip_symbol(",")) break;
    commas = true;
  }
  if (!commas && !parentheses) fail(fmt::format("expected an expression, not {}", shown_token()));
  Node* node = make(Kind::tuple, at);
  node->parts = std::move(parts);
  return node;
}

Node* ExpressionParser::target(std::string_view stop) {
  const Level level(*this);
  const size_t at = now().at;
  std::vector<const Node*> parts;
  bool commas = false;
  while (!tuple_ends(stop) && !(commas && now().symbol("="))) {
    Node* part = nullptr;
    if (skip_symbol("(")) {
      part = target();
      expect_symbol(")");
    } else {
      part = make(Kind::variable, now().at);
      part->text = expect_any_name();
    }
    if (!commas && !now().symbol(",")) return part;
    parts.push_back(part);
    if (!skip_symbol(",")) break;
    commas = true;
  }
  if (parts.empty()) fail(fmt::format("expected a name to assign to, not {}", shown_token()));
  Node* node = make(Kind::tuple, at);
  node->parts = std::move(parts);
  return node;
}

Node* ExpressionParser::list() {
  Node* node = make(Kind::list, now().at);
  expect_symbol("[");
  while (!now().symbol("]")) {
    node->parts.push_back(expression());
    if (!skip_symbol(",")) break;
  }
  expect_symbol("]");
  return node;
}

Node* ExpressionParser::mapping() {
  Node* node = make(Kind::mapping, now().at);
  expect_symbol("{");
  while (!now().symbol("}")) {
    node->parts.push_back(expression());
    expect_symbol(":");
    node->parts.push_back(expression());
    if (!skip_symbol(",")) break;
  }
  expect_symbol("}");
  return node;
}

}  // namespace veomni::jinja
