// SentencePiece's tokenizer.model: a protocol buffer (google/sentencepiece,
// src/sentencepiece_model.proto).
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "core/data/text.h"
#include "core/error.h"
#include "core/tokenizer/file_tokenizer.h"
#include "core/tokenizer/unicode.h"
#include "core/tokenizer/wire_reader.h"

namespace veomni {
namespace {

enum PieceType {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};
enum ModelType { kUnigram = 1, kBpe = 2 };

struct Piece {
  std::string text;
  double score = 0;
  int64_t type = kNormal;
};

struct Model {
  std::vector<Piece> pieces;
  int64_t type = kUnigram;
  bool byte_fallback = false, whitespace_as_suffix = false;
  bool dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;
  std::string rules;  // precompiled_charsmap
};

[[noreturn]] void refuse(const std::string& file, const std::string& what,
                         const std::string& what_to_do) {
  throw ConfigError(fmt::format("{}: {}; {}", file, what, what_to_do));
}

Piece read_piece(std::string_view message, const std::string& where) {
  Piece piece;
  WireReader reader(message, where);
  for (WireField field; reader.next(field);) {
    if (field.number == 1) piece.text = reader.bytes_of(field);
    if (field.number == 2) piece.score = reader.float_of(field);
    if (field.number == 3) piece.type = reader.integer_of(field);
  }
  if (piece.text.empty() || find_invalid_utf8(piece.text) != std::string::npos)
    refuse(where, "its text is empty or no UTF-8", "copy the file again");
  if (!std::isfinite(piece.score)) refuse(where, "its score is not finite", "copy the file again");
  if (piece.type < kNormal || piece.type > kByte || piece.type == kUnused)
    refuse(where, fmt::format("the type {} is not supported", piece.type),
           "use a model without such pieces");
  return piece;
}

void read_trainer(std::string_view message, const std::string& file, Model& model) {
  WireReader reader(message, file + ": trainer_spec");
  for (WireField field; reader.next(field);) {
    if (field.number == 3) model.type = reader.integer_of(field);
    if (field.number == 24) model.whitespace_as_suffix = reader.integer_of(field) != 0;
    if (field.number == 35) model.byte_fallback = reader.integer_of(field) != 0;
  }
}

void read_normalizer(std::string_view message, const std::string& file, Model& model) {
  WireReader reader(message, file + ": normalizer_spec");
  for (WireField field; reader.next(field);) {
    if (field.number == 2) model.rules = reader.bytes_of(field);
    if (field.number == 3) model.dummy_prefix = reader.integer_of(field) != 0;
    if (field.number == 4) model.remove_extra_whitespaces = reader.integer_of(field) != 0;
    if (field.number == 5) model.escape_whitespaces = reader.integer_of(field) != 0;
  }
}

Model read_message(const std::string& bytes, const std::string& file) {
  Model model;
  WireReader reader(bytes, file);
  for (WireField field; reader.next(field);) {
    if (field.number == 1)
      model.pieces.push_back(read_piece(reader.bytes_of(field),
                                        fmt::format("{}: piece {}", file, model.pieces.size())));
    if (field.number == 2) read_trainer(reader.bytes_of(field), file, model);
    if (field.number == 3) read_normalizer(reader.bytes_of(field), file, model);
  }
  if (model.pieces.empty()) refuse(file, "holds no pieces", "is it a SentencePiece model?");
  if (model.whitespace_as_suffix)
    refuse(file, "treat_whitespace_as_suffix is not supported", "use another tokenizer");
  if (!model.escape_whitespaces)
    refuse(file, "escape_whitespaces = false is not supported", "use another tokenizer");
  if (model.type != kUnigram && model.type != kBpe)
    refuse(file, fmt::format("the model type {} is not supported", model.type),
           "use a BPE or Unigram model");
  return model;
}

/// A piece of several characters may come from every two pieces that it consists of; the score of
/// the whole orders the merges.
void add_merges(const Model& model, const std::string& file, BpeConfig& config) {
  std::map<double, int32_t, std::greater<>> ranks;
  for (const Piece& piece : model.pieces) ranks[piece.score] = 0;
  int32_t next = 0;
  for (auto& [score, rank] : ranks) rank = next++;
  const auto usable = [&](std::string_view text) {
    const int32_t id = config.tokens.find(text);
    return id >= 0 && model.pieces[static_cast<size_t>(id)].type == kNormal ? id : -1;
  };
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const Piece& piece = model.pieces[id];
    const std::string_view text = piece.text;
    if (piece.type != kNormal || code_point_bytes(text[0]) == text.size()) continue;
    for (size_t at = 0; at < text.size();) {
      const size_t begin = at;
      at += code_point_bytes(text[at]);
      if (config.tokens.find(text.substr(begin, at - begin)) < 0)
        refuse(fmt::format("{}: piece {}", file, id),
               fmt::format("'{}' has a character that is no piece itself", shown(text)),
               "add it, or use the model's tokenizer.json");
      const int32_t left = usable(text.substr(0, at)), right = usable(text.substr(at));
      if (at < text.size() && left >= 0 && right >= 0)
        config.merges.push_back({left, right, static_cast<int32_t>(id), ranks[piece.score]});
    }
  }
}

TokenTable table_of(const Model& model, const std::string& file) {
  TokenTable tokens;
  for (size_t id = 0; id < model.pieces.size(); ++id)
    tokens.add(model.pieces[id].text, static_cast<int64_t>(id), file);
  return tokens;
}

std::unique_ptr<TokenModel> build_bpe(const Model& model, const std::string& file) {
  BpeConfig config;
  config.tokens = table_of(model, file);
  config.fuse_unknown = true;
  config.byte_fallback = model.byte_fallback;
  for (const Piece& piece : model.pieces)
    if (piece.type == kUnknown) config.unknown = piece.text;
  add_merges(model, file, config);
  return make_bpe(std::move(config), file);
}

std::unique_ptr<TokenModel> build_unigram(const Model& model, const std::string& file) {
  UnigramConfig config;
  config.tokens = table_of(model, file);
  config.byte_fallback = model.byte_fallback;
  config.least_score = INFINITY;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const Piece& piece = model.pieces[id];
    config.scores.push_back(piece.score);
    config.in_text.push_back(piece.type == kNormal);
    if (piece.type == kNormal) config.least_score = std::min(config.least_score, piece.score);
    if (piece.type == kUnknown) config.unknown = static_cast<int32_t>(id);
    if (piece.type == kUserDefined)
      refuse(file,
             fmt::format("the user-defined piece '{}' of a Unigram model is not supported",
                         shown(piece.text)),
             "use the model's tokenizer.json");
  }
  return make_unigram(std::move(config), file);
}

FileJson normalizer_of(const Model& model) {
  FileJson steps = FileJson::array();
  const auto replace = [&](const char* kind, const char* pattern, const char* content) {
    steps.push_back({{"type", "Replace"}, {"pattern", {{kind, pattern}}}, {"content", content}});
  };
  if (model.remove_extra_whitespaces) {
    replace("Regex", R"(\A +| +\z)", "");
    replace("Regex", " +", " ");
  }
  if (model.dummy_prefix) steps.push_back({{"type", "Prepend"}, {"prepend", "\xE2\x96\x81"}});
  replace("String", " ", "\xE2\x96\x81");
  return {{"type", "Sequence"}, {"normalizers", steps}};
}

FileJson decoder_of(const Model& model) {
  FileJson steps = FileJson::array();
  steps.push_back(
      {{"type", "Replace"}, {"pattern", {{"String", "\xE2\x96\x81"}}}, {"content", " "}});
  steps.push_back({{"type", "ByteFallback"}});
  steps.push_back({{"type", "Fuse"}});
  if (model.dummy_prefix)
    steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", steps}};
}

}  // namespace

TokenizerParts read_sentencepiece_model(const std::string& bytes, const std::string& file) {
  const Model model = read_message(bytes, file);
  TokenizerParts parts;
  parts.normalizer = make_normalizer(normalizer_of(model), file);
  if (!model.rules.empty())
    parts.normalizer = make_charsmap_normalizer(model.rules, file + ": precompiled_charsmap",
                                                std::move(parts.normalizer));
  parts.model = model.type == kBpe ? build_bpe(model, file) : build_unigram(model, file);
  parts.decoder = make_token_decoder(decoder_of(model), file);
  Workspace work;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    if (model.pieces[id].type != kUserDefined) continue;
    AddedToken token{.content = model.pieces[id].text, .id = static_cast<int32_t>(id)};
    token.normalized = true;
    parts.added.add(std::move(token), nullptr, work, file);  // the piece is in normalized form
  }
  return parts;
}

}  // namespace veomni
