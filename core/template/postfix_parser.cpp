// What stands behind a value: attributes, items, slices, calls, filters and tests.
#include "core/error.h"
#include "core/template/parser.h"

namespace veomni::jinja {
namespace {
using Type = Token::Type;
using Kind = Node::Kind;
}  // namespace

Node* ExpressionParser::postfix(Node* node) {
  while (true) {
    if (now().symbol(".") || now().symbol("["))
      node = subscript(node);
    else if (now().symbol("("))
      node = call(node);
    else
      return node;
  }
}

Node* ExpressionParser::suffixes(Node* node) {
  while (true) {
    if (now().symbol("|"))
      node = filters(node);
    else if (now().name("is"))
      node = test(node);
    else if (now().symbol("("))
      node = call(node);
    else
      return node;
  }
}

Node* ExpressionParser::subscript(Node* node) {
  const size_t at = now().at;
  if (skip_symbol("[")) return slice(node, at);
  next();  // the dot
  if (now().type == Type::integer) {
    Node* index = make(Kind::integer, now().at);
    index->integer = next().integer;
    Node* item = make(Kind::item, at);
    item->parts = {node, index};
    return item;
  }
  Node* attribute = make(Kind::attribute, at);
  attribute->text = expect_any_name();
  attribute->parts = {node};
  if (attribute->text.starts_with("__"))
    fail_at(at, fmt::format("the attribute '{}' is not supported", attribute->text));
  return attribute;
}

Node* ExpressionParser::slice(Node* node, size_t at) {
  const auto absent = [&] { return now().symbol(":") || now().symbol("]") || now().symbol(","); };
  Node* first = absent() ? nullptr : expression();
  if (!now().symbol(":")) {
    if (first == nullptr || now().symbol(","))
      fail("one index or slice is needed here; several are not supported");
    Node* item = make(Kind::item, at);
    item->parts = {node, first};
    expect_symbol("]");
    return item;
  }
  Node* whole = make(Kind::slice, at);
  whole->parts = {node, first, nullptr, nullptr};
  for (size_t i = 2; i < 4 && skip_symbol(":"); ++i)
    if (!absent()) whole->parts[i] = expression();
  expect_symbol("]");
  return whole;
}

void ExpressionParser::arguments(Node& node) {
  expect_symbol("(");
  while (!now().symbol(")")) {
    if (now().symbol("*") || now().symbol("**"))
      fail("arguments from a list ('*' and '**') are not supported");
    if (now().type == Type::name && after().symbol("=")) {
      node.names.push_back(next().text);
      next();
    } else if (!node.names.empty()) {
      fail("an argument without a name follows one with a name");
    }
    node.parts.push_back(expression());
    if (!skip_symbol(",")) break;
  }
  expect_symbol(")");
}

Node* ExpressionParser::call(Node* node) {
  Node* made = make(Kind::call, now().at);
  made->parts = {node};
  if (node->kind == Kind::attribute && !is_method(node->text))
    fail_at(node->at, fmt::format("the method '{}' is not supported", node->text));
  arguments(*made);
  return made;
}

Node* ExpressionParser::filters(Node* input, bool inside) {
  Node* node = input;
  while (inside || now().symbol("|")) {
    if (!inside) next();
    inside = false;
    Node* made = make(Kind::filter, now().at);
    made->text = expect_any_name();
    if (!is_filter(made->text))
      fail_at(made->at, fmt::format("the filter '{}' is not supported", made->text));
    made->parts = {node};
    if (now().symbol("(")) arguments(*made);
    node = made;
  }
  return node;
}

Node* ExpressionParser::test(Node* node) {
  const size_t at = next().at;
  const bool inverted = skip_name("not");
  Node* made = make(Kind::test, now().at);
  made->text = expect_any_name();
  if (!is_test(made->text))
    fail_at(made->at, fmt::format("the test '{}' is not supported", made->text));
  made->parts = {node};
  const Token& token = now();
  const bool word =
      token.type == Type::name && token.text != "else" && token.text != "or" && token.text != "and";
  if (token.symbol("(")) {
    arguments(*made);
  } else if (word || token.type == Type::string || token.type == Type::integer ||
             token.type == Type::real || token.symbol("[") || token.symbol("{")) {
    if (token.name("is")) fail("tests with 'is' cannot be chained");
    made->parts.push_back(postfix(primary()));
  }
  if (!inverted) return made;
  Node* inverse = make(Kind::inverse, at);
  inverse->parts = {made};
  return inverse;
}

}  // namespace veomni::jinja
