// Hugging Face's tokenizer.json.
#include "core/data/text.h"
#include "core/tokenizer/component.h"
#include "core/tokenizer/file_tokenizer.h"

namespace veomni {
namespace {

TokenTable read_vocab(Component& json) {
  const FileJson& vocab = json.any("vocab");
  if (!vocab.is_object() || vocab.empty()) json.refuse("vocab is no object of ids", "give one");
  TokenTable tokens;
  for (const auto& [token, id] : vocab.items()) {
    if (!id.is_number_integer())
      json.refuse(fmt::format("the id of '{}' is no integer", shown(token)), "correct it");
    tokens.add(token,
               id.is_number_unsigned() && id.get<uint64_t>() > INT32_MAX ? int64_t{INT32_MAX}
                                                                         : id.get<int64_t>(),
               json.at("vocab"));
  }
  return tokens;
}

/// "a b" or ["a", "b"].
std::pair<std::string, std::string> merge_of(Component& json, const FileJson& merge, size_t rank) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  if (merge.is_string()) {
    const std::string text = merge.get<std::string>();
    const size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos)
      return {text.substr(0, space), text.substr(space + 1)};
  }
  json.refuse(fmt::format("merges.{} is no pair of tokens", rank), "correct it");
}

void read_merges(Component& json, BpeConfig& config) {
  const FileJson& merges = json.array("merges");
  config.merges.reserve(merges.size());
  const auto known = [&](const std::string& token, size_t rank) {
    const int32_t id = config.tokens.find(token);
    if (id < 0)
      json.refuse(
          fmt::format("merges.{} needs '{}', which is not in the vocabulary", rank, shown(token)),
          "add it");
    return id;
  };
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto [left, right] = merge_of(json, merges[rank], rank);
    const size_t prefix = config.continuing_prefix.size();
    if (right.size() < prefix)
      json.refuse(fmt::format("merges.{} lacks the continuing_subword_prefix", rank), "correct it");
    config.merges.push_back({known(left, rank), known(right, rank),
                             known(left + right.substr(prefix), rank), static_cast<int32_t>(rank)});
  }
}

std::unique_ptr<TokenModel> read_bpe(Component& json) {
  BpeConfig config;
  config.tokens = read_vocab(json);
  config.unknown = json.text("unk_token", "");
  config.continuing_prefix = json.text("continuing_subword_prefix", "");
  config.end_of_word_suffix = json.text("end_of_word_suffix", "");
  config.fuse_unknown = json.flag("fuse_unk", false);
  config.byte_fallback = json.flag("byte_fallback", false);
  config.ignore_merges = json.flag("ignore_merges", false);
  json.ignore("dropout");
  if (json.has("dropout") && json.any("dropout") != 0)
    json.refuse("dropout is set, which makes ids random", "set it to null");
  read_merges(json, config);
  json.finish();
  return make_bpe(std::move(config), json.where());
}

std::unique_ptr<TokenModel> read_unigram(Component& json) {
  UnigramConfig config;
  const FileJson& vocab = json.array("vocab");
  if (vocab.empty()) json.refuse("vocab is empty", "give one");
  for (size_t id = 0; id < vocab.size(); ++id) {
    const FileJson& entry = vocab[id];
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number())
      json.refuse(fmt::format("vocab.{} is no pair of token and score", id), "correct it");
    config.tokens.add(entry[0].get<std::string>(), static_cast<int64_t>(id), json.at("vocab"));
    config.scores.push_back(entry[1].get<double>());
    config.least_score =
        std::min(id == 0 ? config.scores[0] : config.least_score, config.scores.back());
  }
  json.ignore("unk_id");
  if (json.has("unk_id"))
    config.unknown =
        static_cast<int32_t>(json.integer("unk_id", 0, static_cast<int64_t>(vocab.size()) - 1));
  config.byte_fallback = json.flag("byte_fallback", false);
  json.finish();
  return make_unigram(std::move(config), json.where());
}

std::unique_ptr<TokenModel> read_word_piece(Component& json) {
  WordPieceConfig config;
  config.tokens = read_vocab(json);
  config.unknown = json.text("unk_token", "[UNK]");
  config.continuing_prefix = json.text("continuing_subword_prefix", "##");
  if (json.has("max_input_chars_per_word"))
    config.most_characters = json.integer("max_input_chars_per_word", 0, INT32_MAX);
  json.ignore("max_input_chars_per_word");
  json.finish();
  return make_word_piece(std::move(config), json.where());
}

std::unique_ptr<TokenModel> read_model(const FileJson& model, const std::string& where) {
  Component json(model, where);
  // GPT-2's own file is older than the key.
  const std::string type = json.text("type", json.has("merges") ? "BPE" : "");
  if (type == "BPE") return read_bpe(json);
  if (type == "Unigram") return read_unigram(json);
  if (type == "WordPiece") return read_word_piece(json);
  json.refuse_type("model", type, "BPE, Unigram, WordPiece");
}

void read_added(const FileJson& list, const std::string& where, TokenizerParts& parts) {
  Workspace work;
  for (size_t i = 0; i < list.size(); ++i) {
    Component json(list[i], fmt::format("{}.{}", where, i));
    AddedToken token;
    token.content = json.text("content");
    token.id = static_cast<int32_t>(json.integer("id", 0, TokenTable::kMostIds - 1));
    token.single_word = json.flag("single_word", false);
    token.lstrip = json.flag("lstrip", false);
    token.rstrip = json.flag("rstrip", false);
    token.special = json.flag("special", false);
    token.normalized = json.flag("normalized", !token.special);
    json.finish();
    const TokenTable& tokens = parts.model->tokens();
    const int32_t known = tokens.find(token.content);
    if (known >= 0 && known != token.id)
      json.refuse(fmt::format("'{}' has the id {}, but {} in the vocabulary", shown(token.content),
                              token.id, known),
                  "make them equal");
    const std::string* other = tokens.token(token.id);
    if (other != nullptr && *other != token.content)
      json.refuse(
          fmt::format("the id {} belongs to '{}' in the vocabulary", token.id, shown(*other)),
          "give another");
    parts.added.add(std::move(token), parts.normalizer.get(), work, json.where());
  }
}

}  // namespace

TokenizerParts read_tokenizer_json(const std::string& bytes, const std::string& file) {
  const FileJson root = parse_sorted_json({.text = bytes, .file = file, .what = "tokenizer.json"});
  Component json(root, file);
  const FileJson null;
  const auto part = [&](const char* key) -> const FileJson& {
    json.ignore(key);
    return json.has(key) ? root[key] : null;
  };
  const auto where = [&](const char* key) { return fmt::format("{}: {}", file, key); };
  for (const char* key : {"truncation", "padding"})
    if (!part(key).is_null())
      json.refuse(std::string(key) + " is set, which changes the ids", "set it to null");
  if (json.text("version", "1.0") != "1.0")
    json.refuse("unknown version", "this version reads 1.0");
  TokenizerParts parts;
  size_t buffers = 0;
  parts.normalizer = make_normalizer(part("normalizer"), where("normalizer"));
  parts.pre_tokenizer = make_pre_tokenizer(part("pre_tokenizer"), where("pre_tokenizer"), buffers);
  parts.model = read_model(json.any("model"), where("model"));
  parts.around = read_post_processor(part("post_processor"), where("post_processor"));
  parts.decoder = make_token_decoder(part("decoder"), where("decoder"));
  if (json.has("added_tokens"))
    read_added(json.array("added_tokens"), where("added_tokens"), parts);
  json.ignore("added_tokens");
  if (root.contains("type")) json.refuse("unknown option 'type'", "is it a tokenizer.json?");
  json.finish();
  return parts;
}

}  // namespace veomni
