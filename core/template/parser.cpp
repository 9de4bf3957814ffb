#include "core/template/parser.h"

#include <algorithm>

#include "core/error.h"

namespace veomni::jinja {
namespace {

using Type = Token::Type;
using Kind = Node::Kind;
using Body = std::vector<const Node*>;

class StatementParser : public ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  void run() {
    syntax_.body = body({});
    if (now().type != Type::end) fail(fmt::format("unexpected {}", shown_token()));
  }

 private:
  /// Statements up to a tag that starts with one of `ends`, whose name is the token that stands here
  /// afterwards. Without ends: up to the end.
  Body body(std::initializer_list<std::string_view> ends) {
    const Level level(*this);
    Body out;
    while (now().type != Type::end) {
      if (now().type == Type::data) {
        Node* node = make(Kind::data, now().at);
        node->text = next().text;
        out.push_back(node);
      } else if (now().type == Type::print_begin) {
        Node* node = make(Kind::print, next().at);
        node->parts = {tuple()};
        end_tag(Type::print_end, "}}");
        out.push_back(node);
      } else {
        next();
        const bool ended = now().type == Type::name &&
                           std::find(ends.begin(), ends.end(), now().text) != ends.end();
        if (ended) return out;
        out.push_back(statement());
        end_tag(Type::block_end, "%}");
      }
    }
    if (ends.size() > 0)
      fail(fmt::format("the template ends where '{}' is missing", *(ends.end() - 1)));
    return out;
  }

  void end_tag(Type type, std::string_view end) {
    if (now().type != type) fail(fmt::format("expected '{}', not {}", end, shown_token()));
    next();
  }

  Body block(std::initializer_list<std::string_view> ends) {
    skip_symbol(":");
    end_tag(Type::block_end, "%}");
    return body(ends);
  }

  Node* statement() {
    const size_t at = now().at;
    const std::string name = expect_any_name();
    if (name == "if") return branch(at);
    if (name == "for") return loop(at);
    if (name == "set") return set(at);
    if (name == "macro") return macro(at);
    if (name == "with") return with(at);
    if (name == "filter") return filtered(at);
    if (name == "generation") {
      Node* node = make(Kind::generation, at);
      syntax_.has_generation = true;
      node->body = block({"endgeneration"});
      next();
      return node;
    }
    if (name == "print") {
      Node* node = make(Kind::print, at);
      node->parts = {tuple()};
      return node;
    }
    if (name == "break" || name == "continue") {
      if (loops_ == 0) fail_at(at, fmt::format("'{}' stands outside of a loop", name));
      return make(name == "break" ? Kind::stop : Kind::skip, at);
    }
    if (name.starts_with("end") || name == "else" || name == "elif")
      fail_at(at, fmt::format("'{}' closes nothing that is open here", name));
    fail_at(at, fmt::format("the tag '{}' is not supported", name));
  }

  Node* branch(size_t at) {
    Node* node = make(Kind::branch, at);
    while (true) {
      node->parts.push_back(tuple(false));
      node->bodies.push_back(block({"elif", "else", "endif"}));
      const std::string end = next().text;
      if (end == "elif") continue;
      if (end == "else") {
        node->bodies.push_back(block({"endif"}));
        next();
      }
      return node;
    }
  }

  Node* loop(size_t at) {
    Node* node = make(Kind::loop, at);
    Node* to = target("in");
    expect_name("in");
    Node* from = tuple(false, "recursive");
    Node* condition = skip_name("if") ? expression() : nullptr;
    if (now().name("recursive")) fail("recursive loops are not supported");
    node->parts = {to, from, condition};
    ++loops_;
    node->body = block({"else", "endfor"});
    --loops_;
    if (next().text == "else") {
      node->other = block({"endfor"});
      next();
    }
    return node;
  }

  Node* set(size_t at) {
    Node* to = nullptr;
    std::string space, member;
    if (now().type == Type::name && after().symbol(".")) {
      space = next().text;
      next();
      member = expect_any_name();
      if (member.starts_with("_"))
        fail_at(at, fmt::format("a namespace cannot hold '{}'; rename it", member));
    } else {
      to = target();
    }
    if (skip_symbol("=")) {
      Node* node = make(to != nullptr ? Kind::assign : Kind::assign_member, at);
      Node* value = tuple();
      if (to != nullptr)
        node->parts = {to, value};
      else
        node->parts = {value};
      node->text = space;
      node->names = {member};
      return node;
    }
    Node* node = make(Kind::assign_block, at);
    node->parts = {to, filters(nullptr)};
    node->text = space;
    node->names = {member};
    node->body = block_without_loops({"endset"});
    return node;
  }

  /// The body of something that runs on its own: break and continue do not leave it.
  Body block_without_loops(std::initializer_list<std::string_view> ends) {
    const int32_t loops = std::exchange(loops_, 0);
    Body out = block(ends);
    next();
    loops_ = loops;
    return out;
  }

  Node* macro(size_t at) {
    Node* node = make(Kind::macro, at);
    node->text = expect_any_name();
    expect_symbol("(");
    while (!now().symbol(")")) {
      node->names.push_back(expect_any_name());
      if (skip_symbol("="))
        node->parts.push_back(expression());
      else if (!node->parts.empty())
        fail("an argument without a default follows one with a default");
      if (!now().symbol(")")) expect_symbol(",");
    }
    expect_symbol(")");
    node->body = block_without_loops({"endmacro"});
    return node;
  }

  Node* with(size_t at) {
    Node* node = make(Kind::with, at);
    while (now().type != Type::block_end) {
      if (!node->parts.empty()) expect_symbol(",");
      node->parts.push_back(target());
      expect_symbol("=");
      node->parts.push_back(expression());
    }
    node->body = block({"endwith"});
    next();
    return node;
  }

  Node* filtered(size_t at) {
    Node* node = make(Kind::filtered, at);
    node->parts = {filters(nullptr, true)};
    node->body = block_without_loops({"endfilter"});
    return node;
  }

  int32_t loops_ = 0;
};

}  // namespace

Syntax parse(const Source& source) {
  Syntax syntax;
  StatementParser(source, syntax).run();
  return syntax;
}

}  // namespace veomni::jinja
