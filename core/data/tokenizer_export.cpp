#include "core/data/tokenizer_export.h"

#include "core/checkpoint/file_io.h"
#include "core/data/file_bytes.h"
#include "core/data/text.h"
#include "core/data/tokenizer.h"
#include "core/tokenizer/byte_alphabet.h"
#include "core/tokenizer/file_tokenizer.h"

namespace veomni {
namespace {

namespace fs = std::filesystem;

/// What is beside a tokenizer's file in directories of the Hub.
constexpr const char* kBeside[] = {"tokenizer_config.json",
                                   "special_tokens_map.json",
                                   "added_tokens.json",
                                   "vocab.json",
                                   "merges.txt",
                                   "chat_template.jinja"};

/// BPE without merges: every entry of the vocabulary is a token by itself.
Json without_merges(Json vocab) {
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", Json::array()},
          {"normalizer", nullptr},
          {"pre_tokenizer", nullptr},
          {"post_processor", nullptr},
          {"decoder", {{"type", "Fuse"}}},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", false},
            {"vocab", std::move(vocab)},
            {"merges", Json::array()}}}};
}

Json bytes_json() {
  Json vocab = Json::object();
  for (int byte = 0; byte < 256; ++byte) {
    std::string name;
    append_byte_characters(std::string(1, static_cast<char>(byte)), name);
    vocab[name] = byte;
  }
  Json json = without_merges(std::move(vocab));
  const Json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", true},
                           {"use_regex", false}};
  json["pre_tokenizer"] = byte_level;
  json["decoder"] = byte_level;
  return json;
}

void write_json(const fs::path& path, const Json& json) {
  write_file_atomically(path, json.dump(2) + "\n");
}

void write_made(const Json& json, const fs::path& directory) {
  write_json(directory / "tokenizer.json", json);
  write_json(directory / "tokenizer_config.json", {{"tokenizer_class", "PreTrainedTokenizerFast"},
                                                   {"clean_up_tokenization_spaces", false},
                                                   {"model_max_length", 1000000000}});
}

}  // namespace

Json tokenizer_json_of(const Json& state) {
  const auto type = state.at("type").get<std::string>();
  if (type == "bytes") return bytes_json();
  if (type != "characters") return nullptr;
  const auto all = state.at("characters").get<std::string>();
  Json vocab = Json::object();
  for (size_t at = 0; at < all.size();) {
    const size_t begin = at;
    if (next_code_point(all, at) < 0) break;  // restore_tokenizer refuses it
    vocab[all.substr(begin, at - begin)] = vocab.size();
  }
  return without_merges(std::move(vocab));
}

void write_tokenizer(const Json& state, const std::string& recipe_kind, const fs::path& directory) {
  (void)restore_tokenizer(state, recipe_kind);  // throws for another file
  if (const Json json = tokenizer_json_of(state); !json.is_null())
    return write_made(json, directory);
  const fs::path file = find_tokenizer_file(recipe_kind);
  const bool model = file.extension() == ".model";
  write_file_atomically(directory / (model ? "tokenizer.model" : "tokenizer.json"),
                        read_file_bytes(file.string()));
  for (const char* name : kBeside)
    if (const auto source = file.parent_path() / name; fs::is_regular_file(source))
      fs::copy_file(source, directory / name);
}

}  // namespace veomni
