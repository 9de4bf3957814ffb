#include "core/tokenizer/token_decoder.h"

#include <charconv>

#include "core/data/text.h"
#include "core/tokenizer/byte_alphabet.h"
#include "core/tokenizer/normalizer.h"
#include "core/tokenizer/unicode.h"

namespace veomni {
namespace {

using Made = std::unique_ptr<TokenDecoder>;
using Tokens = std::vector<std::string>;

template <class Function>
class SimpleDecoder : public TokenDecoder {
 public:
  explicit SimpleDecoder(Function function) : function_(std::move(function)) {}
  void apply(Tokens& tokens, Workspace& work) const override { function_(tokens, work); }

 private:
  Function function_;
};

template <class Function>
Made simple(Function function) {
  return std::make_unique<SimpleDecoder<Function>>(std::move(function));
}

void replace_text(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = 0; !from.empty() && (at = text.find(from, at)) != std::string::npos;
       at += to.size())
    text.replace(at, from.size(), to);
}

void fuse(Tokens& tokens, Workspace&) {
  std::string all;
  for (const std::string& token : tokens) all += token;
  tokens.assign(1, all);
}

void byte_level(Tokens& tokens, Workspace& work) {
  for (std::string& token : tokens)
    if (std::string bytes; append_bytes_of(token, bytes)) token.swap(bytes);
  fuse(tokens, work);  // what follows in a Sequence sees one token
}

Made make_metaspace(Component& json) {
  const std::string replacement = one_character(json, "replacement", "\xE2\x96\x81");
  const bool prefix = json.flag("add_prefix_space", true);
  const bool never = json.text("prepend_scheme", prefix ? "always" : "never") == "never";
  json.ignore("split"), json.ignore("str_rep");
  return simple([=](Tokens& tokens, Workspace&) {
    for (size_t i = 0; i < tokens.size(); ++i)
      replace_text(tokens[i], replacement, i == 0 && !never ? "" : " ");
  });
}

void clean_up(std::string& text) {  // in this order: each works on what the ones before have left
  constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules) replace_text(text, from, to);
}

Made make_word_piece_decoder(Component& json) {
  const std::string prefix = json.text("prefix", "##");
  const bool cleaned = json.flag("cleanup", true);
  return simple([=](Tokens& tokens, Workspace&) {
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0) {
        if (tokens[i].starts_with(prefix))
          tokens[i].erase(0, prefix.size());
        else
          tokens[i].insert(0, 1, ' ');
      }
      if (cleaned) clean_up(tokens[i]);
    }
  });
}

Made make_bpe_decoder(Component& json) {
  const std::string suffix = json.text("suffix", "</w>");
  return simple([=](Tokens& tokens, Workspace&) {
    for (size_t i = 0; i < tokens.size(); ++i)
      replace_text(tokens[i], suffix, i + 1 == tokens.size() ? "" : " ");
  });
}

Made make_replace(Component& json) {
  std::shared_ptr<const Regex> pattern = make_pattern(json, "pattern");
  return simple([pattern, content = json.text("content")](Tokens& tokens, Workspace& work) {
    for (std::string& token : tokens)
      if (pattern) replace_all(token, *pattern, content, work.regex);
  });
}

int byte_of(const std::string& token) {  // <0x0A> → 10; -1: no such token
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  int byte = -1;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
  return error == std::errc() && end == token.data() + 5 ? byte : -1;
}

void byte_fallback(Tokens& tokens, Workspace&) {
  Tokens out;
  std::string bytes;
  const auto flush = [&] {
    if (bytes.empty()) return;
    if (find_invalid_utf8(bytes) == std::string::npos)
      out.push_back(bytes);
    else
      out.insert(out.end(), bytes.size(), "\xEF\xBF\xBD");  // one U+FFFD a byte
    bytes.clear();
  };
  for (std::string& token : tokens) {
    if (const int byte = byte_of(token); byte >= 0) {
      bytes += static_cast<char>(byte);
      continue;
    }
    flush();
    out.push_back(std::move(token));
  }
  flush();
  tokens.swap(out);
}

Made make_strip(Component& json) {
  const std::string content = one_character(json, "content", " ");
  const int64_t start = json.integer("start", 0, INT32_MAX),
                stop = json.integer("stop", 0, INT32_MAX);
  return simple([=](Tokens& tokens, Workspace&) {
    for (std::string& token : tokens) {
      for (int64_t i = 0; i < start && token.starts_with(content); ++i)
        token.erase(0, content.size());
      for (int64_t i = 0; i < stop && token.ends_with(content); ++i)
        token.erase(token.size() - content.size());
    }
  });
}

Made make_sequence(Component& json) {
  std::vector<std::shared_ptr<TokenDecoder>> parts;
  const FileJson& list = json.array("decoders");
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].is_null()) json.refuse(fmt::format("decoders.{} is null", i), "remove it");
    parts.push_back(make_token_decoder(list[i], fmt::format("{}.{}", json.at("decoders"), i)));
  }
  return simple([parts](Tokens& tokens, Workspace& work) {
    for (const auto& part : parts) part->apply(tokens, work);
  });
}

Made make_known(const std::string& type, Component& json) {
  if (type == "ByteLevel") {
    for (const char* key : {"add_prefix_space", "trim_offsets", "use_regex"}) json.ignore(key);
    return simple(byte_level);
  }
  if (type == "Metaspace") return make_metaspace(json);
  if (type == "WordPiece") return make_word_piece_decoder(json);
  if (type == "BPEDecoder") return make_bpe_decoder(json);
  if (type == "Replace") return make_replace(json);
  if (type == "ByteFallback") return simple(byte_fallback);
  if (type == "Fuse") return simple(fuse);
  if (type == "Strip") return make_strip(json);
  if (type == "Sequence") return make_sequence(json);
  json.refuse_type("decoder", type,
                   "ByteLevel, Metaspace, WordPiece, BPEDecoder, Replace, ByteFallback, Fuse, "
                   "Strip, Sequence");
}

}  // namespace

std::unique_ptr<TokenDecoder> make_token_decoder(const FileJson& json, const std::string& where) {
  if (json.is_null()) return nullptr;
  Component component(json, where);
  auto made = make_known(component.text("type"), component);
  component.finish();
  return made;
}

}  // namespace veomni
