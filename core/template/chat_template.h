#pragma once
// A model's own chat template: read from its tokenizer's directory, rendered as transformers'
// apply_chat_template does. No LibTorch.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace veomni {

namespace jinja {
class Template;
}

/// What a template sees besides the messages.
struct ChatOptions {
  Json tools = nullptr;                ///< list of tool schemas, or null
  bool add_generation_prompt = false;  ///< end in the header of an assistant's turn
  Json variables = Json::object();     ///< further names, for example {"enable_thinking": false}
};

/// Bytes [begin, end) of a rendering.
struct ChatSpan {
  size_t begin = 0, end = 0;
};

class ChatTemplate {
 public:
  /// Reads `chat_template.jinja` or `chat_template` (a text, or a list of named ones: "default", and
  /// "tool_use" where tools are given) and the special tokens from `tokenizer_config.json`. `path`
  /// is a tokenizer's directory or a file in it, or a file whose name ends in ".jinja" (special
  /// tokens then come from the tokenizer_config.json beside it, if any). Throws ConfigError: there
  /// is no template, or `file:line:column: what` where a construct is not supported.
  explicit ChatTemplate(const std::string& path);
  /// Special tokens from the directory of `tokenizer`, the template from the file `path`.
  ChatTemplate(const std::string& path, const std::string& tokenizer);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  /// The conversation as text; encode it without further special tokens. `messages`: a list of
  /// objects with "role" and what else the template reads. Thread-safe. Throws ConfigError when the
  /// template refuses the messages or they have no such form.
  std::string render(const Json& messages, const ChatOptions& options = {}) const;

  /// The same, and the spans of its {% generation %} blocks. `tracked` false: they could not be
  /// followed (inside a macro), or there are none.
  std::string render(const Json& messages, const ChatOptions& options,
                     std::vector<ChatSpan>& generation, bool& tracked) const;

  bool has_generation_blocks(bool tools) const;
  /// bos_token, eos_token, …: name → text.
  const Json& special_tokens() const { return special_tokens_; }
  /// Texts of all tokens that tokenizer_config.json lists: one of them ends a turn.
  const std::vector<std::string>& added_tokens() const { return added_tokens_; }

 private:
  void read_config(const std::string& folder, bool take_template);
  void add(const std::string& name, const std::string& text, const std::string& where);
  const jinja::Template& chosen(bool tools) const;

  std::vector<std::pair<std::string, std::unique_ptr<jinja::Template>>> templates_;
  Json special_tokens_ = Json::object();
  std::vector<std::string> added_tokens_;
};

/// bos_token, eos_token, … of the tokenizer_config.json in a tokenizer's directory or beside a file
/// in it: name → text; empty where there is none. Throws ConfigError where the file is damaged.
Json read_special_tokens(const std::string& tokenizer_path);

/// The prompt for a model to answer `messages`: the template of the tokenizer's directory (or of a
/// file in it), with the header of an assistant's turn. `tools`: list of schemas, or null.
std::string chat_prompt(const std::string& tokenizer_path, const Json& messages,
                        const Json& tools = nullptr);

}  // namespace veomni
