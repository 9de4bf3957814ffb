#pragma once
// Tokenizers of trained models, read from their files: Hugging Face's `tokenizer.json` and
// SentencePiece's `tokenizer.model`. Equal ids are the aim: what cannot be followed is refused.

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/data/sample.h"
#include "core/tokenizer/added_tokens.h"
#include "core/tokenizer/post_processor.h"
#include "core/tokenizer/pre_tokenizer.h"
#include "core/tokenizer/token_decoder.h"

namespace veomni {

struct TokenizerParts {
  std::unique_ptr<Normalizer> normalizer;       ///< may be null
  std::unique_ptr<PreTokenizer> pre_tokenizer;  ///< may be null
  std::unique_ptr<TokenModel> model;
  std::unique_ptr<TokenDecoder> decoder;  ///< may be null: tokens are joined by spaces
  AddedTokens added;
  SpecialTokensAround around;
};

/// The parts that a tokenizer.json describes. `file` names it in errors. Throws ConfigError
/// `FILE: what; what to do` for a damaged file and for anything it does not know.
TokenizerParts read_tokenizer_json(const std::string& bytes, const std::string& file);

/// The same for a SentencePiece model (BPE or Unigram). Control pieces are not found in text.
TokenizerParts read_sentencepiece_model(const std::string& bytes, const std::string& file);

/// Where a byte of a text falls among its ids: the token that starts there is `from`, and `to` the
/// end of those before it. Inside of a token, `from` is that token and `to` is behind it.
struct TokenMark {
  size_t from = 0, to = 0;
};

/// May be used by several threads at a time.
class FileTokenizer : public Tokenizer {
 public:
  /// `file`: a tokenizer.json (may be gzip), a tokenizer.model, or a directory that holds one.
  /// Throws ConfigError.
  explicit FileTokenizer(const std::string& file);

  int64_t vocab_size() const override { return vocab_size_; }  ///< the largest id + 1

  /// The ids of the text alone; added tokens in the text are found. Throws ConfigError for text
  /// that is not UTF-8.
  std::vector<int64_t> encode(std::string_view text) const override;
  /// The same, and where the bytes `marks` (ascending) of the text fall among the ids.
  std::vector<int64_t> encode(std::string_view text, const std::vector<size_t>& marks,
                              std::vector<TokenMark>& places) const;
  /// With the special tokens that the file's post-processor puts around a text.
  std::vector<int64_t> encode_with_special_tokens(std::string_view text) const;
  /// A control token such as </s>: no part of what a reader is shown.
  bool is_special(int64_t id) const {
    const AddedToken* added = parts_.added.find(id);
    return added != nullptr && added->special;
  }
  const SpecialTokensAround& around() const { return parts_.around; }
  /// Special tokens are kept; ids that no token has are left out.
  std::string decode(const std::vector<int64_t>& ids) const override;
  /// The token as the file writes it, or null.
  const std::string* token(int64_t id) const;

  /// {"type": "file", "bytes": …, "xxh64": …}: enough to see later that the file is the same.
  Json state() const override;

 private:
  class Lease;
  void encode_piece(std::string_view piece, bool first, Workspace& work,
                    std::vector<int64_t>& ids) const;

  TokenizerParts parts_;
  int64_t vocab_size_ = 0, file_bytes_ = 0;
  uint64_t file_hash_ = 0;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Workspace>> free_;  // workspaces that no call has at present
};

/// The tokenizer file that `path` names: itself, or the one in the directory. Throws ConfigError
/// when it is absent.
std::string find_tokenizer_file(const std::string& path);

}  // namespace veomni
