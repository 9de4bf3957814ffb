#pragma once
// Recursive descent over the tokens of a template, with Jinja's grammar.

#include <initializer_list>
#include <optional>

#include "core/error.h"
#include "core/template/syntax.h"

namespace veomni::jinja {

/// A position in the tokens, and the nodes made so far.
class TokenReader {
 public:
  TokenReader(const Source& source, Syntax& syntax)
      : source_(source), syntax_(syntax), tokens_(tokenize(source)) {}

  const Token& now() const { return tokens_[place_]; }
  const Token& after() const { return tokens_[std::min(place_ + 1, tokens_.size() - 1)]; }
  const Token& next() { return tokens_[place_ + 1 < tokens_.size() ? place_++ : place_]; }
  bool skip_symbol(std::string_view symbol);
  bool skip_name(std::string_view name);
  void expect_symbol(std::string_view symbol);
  void expect_name(std::string_view name);
  std::string expect_any_name();
  [[noreturn]] void fail(const std::string& message) const { source_.fail(now().at, message); }
  [[noreturn]] void fail_at(size_t at, const std::string& message) const {
    source_.fail(at, message);
  }
  Node* make(Node::Kind kind, size_t at) {
    Node* node = &syntax_.nodes.emplace_back();
    node->kind = kind;
    node->at = at;
    return node;
  }
  /// How the token that stands here reads in an error.
  std::string shown_token() const;

  /// Guards one level of nesting.
  class Level {
   public:
    explicit Level(TokenReader& reader) : reader_(reader) {
      if (++reader_.depth_ > kSyntaxDepth)
        reader_.fail(fmt::format("nested deeper than {} levels; flatten it", kSyntaxDepth));
    }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    ~Level() { --reader_.depth_; }

   private:
    TokenReader& reader_;
  };

 protected:
  const Source& source_;
  Syntax& syntax_;

 private:
  std::vector<Token> tokens_;
  size_t place_ = 0;
  int32_t depth_ = 0;
};

class ExpressionParser : public TokenReader {
 public:
  using TokenReader::TokenReader;

  Node* expression(bool conditional = true);
  /// Expressions with commas between them are a tuple. `stop`: a name that ends it.
  Node* tuple(bool conditional = true, std::string_view stop = "", bool parentheses = false);
  /// Names, or a tuple of them, to assign to.
  Node* target(std::string_view stop = "");
  /// The filters that stand here on `input`, which is null in blocks; null when there are none.
  Node* filters(Node* input, bool inside = false);

 private:
  Node* either();
  Node* both();
  Node* inverse();
  Node* comparison();
  Node* sum();
  Node* concat();
  Node* product();
  Node* power();
  Node* unary(bool with_filters = true);
  Node* primary();
  Node* constant_or_variable();
  Node* list();
  Node* mapping();
  Node* postfix(Node* node);
  Node* suffixes(Node* node);
  Node* subscript(Node* node);
  Node* slice(Node* node, size_t at);
  Node* call(Node* node);
  Node* test(Node* node);
  void arguments(Node& node);
  Node* binary(Node* left, Node* (ExpressionParser::*operand)());
  bool tuple_ends(std::string_view stop) const;
};

}  // namespace veomni::jinja
