#include "core/data/tokenizer.h"

#include "core/data/text.h"
#include "core/error.h"
#include "core/tokenizer/file_tokenizer.h"

namespace veomni {
namespace {

constexpr int32_t kCodePoints = 0x110000;

[[noreturn]] void invalid_utf8(const std::string& prefix, size_t offset) {
  throw ConfigError(fmt::format(
      "{}invalid UTF-8 at byte {}; convert the text to UTF-8, or use the tokenizer 'bytes'", prefix,
      offset));
}

class BytesTokenizer : public Tokenizer {
 public:
  int64_t vocab_size() const override { return 256; }

  std::vector<int64_t> encode(std::string_view text) const override {
    std::vector<int64_t> ids(text.size());
    for (size_t i = 0; i < text.size(); ++i) ids[i] = static_cast<uint8_t>(text[i]);
    return ids;
  }

  std::string decode(const std::vector<int64_t>& ids) const override {
    std::string text;
    for (const int64_t id : ids)
      if (id >= 0 && id < 256) text += static_cast<char>(id);
    return text;
  }

  Json state() const override { return {{"type", "bytes"}}; }
};

class CharactersTokenizer : public Tokenizer {
 public:
  /// `characters`: ascending code points.
  explicit CharactersTokenizer(std::vector<int32_t> characters)
      : characters_(std::move(characters)) {
    ids_.assign(characters_.empty() ? 0 : static_cast<size_t>(characters_.back()) + 1, -1);
    for (size_t i = 0; i < characters_.size(); ++i)
      ids_[static_cast<size_t>(characters_[i])] = static_cast<int32_t>(i);
  }

  int64_t vocab_size() const override { return static_cast<int64_t>(characters_.size()); }

  std::vector<int64_t> encode(std::string_view text) const override {
    std::vector<int64_t> ids;
    ids.reserve(text.size());
    for (size_t offset = 0; offset < text.size();) {
      const size_t start = offset;
      const int32_t code = next_code_point(text, offset);
      if (code < 0) invalid_utf8("", start);
      const size_t place = static_cast<size_t>(code);
      const int32_t id = place < ids_.size() ? ids_[place] : -1;
      require<ConfigError>(id >= 0,
                           "the character '{}' (U+{:04X}) at byte {} is not in the vocabulary; use "
                           "characters of the training text",
                           text.substr(start, offset - start), code, start);
      ids.push_back(id);
    }
    return ids;
  }

  std::string decode(const std::vector<int64_t>& ids) const override {
    std::string text;
    for (const int64_t id : ids)
      if (id >= 0 && id < vocab_size()) append_utf8(characters_[static_cast<size_t>(id)], text);
    return text;
  }

  Json state() const override {
    std::string all;
    for (const int32_t code : characters_) append_utf8(code, all);
    return {{"type", "characters"}, {"characters", all}};
  }

 private:
  std::vector<int32_t> characters_;
  std::vector<int32_t> ids_;  // by code point; -1: not in the vocabulary
};

std::unique_ptr<Tokenizer> fit_characters(const TextStream& texts) {
  std::vector<bool> seen(kCodePoints, false);
  texts([&](std::string_view text, const std::string& where) {
    for (size_t offset = 0; offset < text.size();) {
      const int32_t code = next_code_point(text, offset);
      if (code < 0) invalid_utf8(where + ": ", offset);
      seen[static_cast<size_t>(code)] = true;
    }
  });
  std::vector<int32_t> characters;
  for (int32_t code = 0; code < kCodePoints; ++code)
    if (seen[static_cast<size_t>(code)]) characters.push_back(code);
  return std::make_unique<CharactersTokenizer>(std::move(characters));
}

// The checkpoint does not hold the file: the recipe says where it is, and it must be the same.
std::unique_ptr<Tokenizer> restore_file(const Json& state, const std::string& recipe_kind) {
  require<ConfigError>(
      is_tokenizer_file(recipe_kind),
      "tokenizer: the checkpoint was trained with a tokenizer file, but the recipe "
      "says '{}'; give the file",
      recipe_kind);
  auto made = std::make_unique<FileTokenizer>(recipe_kind);
  require<ConfigError>(made->state() == state,
                       "{}: is not the tokenizer that this checkpoint was trained with (its "
                       "checksum differs); put that one back",
                       recipe_kind);
  return made;
}

}  // namespace

std::unique_ptr<Tokenizer> make_tokenizer(const std::string& kind, const TextStream& texts) {
  if (kind == "bytes") return std::make_unique<BytesTokenizer>();
  if (kind == "characters") return fit_characters(texts);
  return std::make_unique<FileTokenizer>(kind);
}

bool is_tokenizer_file(const std::string& kind) {
  return !kind.empty() && kind != "bytes" && kind != "characters";
}

SpecialTokensAround special_tokens_around(const Tokenizer& tokenizer) {
  const auto* file = dynamic_cast<const FileTokenizer*>(&tokenizer);
  return file != nullptr ? file->around() : SpecialTokensAround{};
}

std::unique_ptr<Tokenizer> restore_tokenizer(const Json& state, const std::string& recipe_kind) {
  const std::string kind = state.at("type").get<std::string>();
  if (kind == "bytes") return std::make_unique<BytesTokenizer>();
  if (kind == "file") return restore_file(state, recipe_kind);
  require<ConfigError>(kind == "characters", "checkpoint: unknown tokenizer '{}'", kind);
  const std::string text = state.at("characters").get<std::string>();
  std::vector<int32_t> characters;
  for (size_t offset = 0; offset < text.size();) {
    const size_t start = offset;
    characters.push_back(next_code_point(text, offset));
    if (offset == start) invalid_utf8("checkpoint: tokenizer: ", start);
  }
  return std::make_unique<CharactersTokenizer>(std::move(characters));
}

}  // namespace veomni
