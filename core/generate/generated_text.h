#pragma once
// From generated tokens to text, piece by piece as they come.

#include <cstdint>
#include <string>
#include <vector>

#include "core/tokenizer/file_tokenizer.h"

namespace veomni {

/// The text that tokens add to a prompt: what the whole decodes to beyond what the prompt does
/// (SentencePiece writes a word's space only behind another). Special tokens are left out. A piece
/// is given out when its last character is whole: bytes of an unfinished UTF-8 character, or of one
/// made of byte tokens, wait for their last one. Text is always valid UTF-8; bytes that never become
/// a character are U+FFFD.
class GeneratedText {
 public:
  /// `tokenizer` must outlive the stream; `stops`: the text ends before the first of these.
  GeneratedText(const Tokenizer& tokenizer, const std::vector<int64_t>& prompt,
                std::vector<std::string> stops);

  /// The text that is certain after one more token; may be empty, because what may become a stop
  /// text waits as well.
  std::string push(int64_t id);
  /// After the last token: what still waited.
  std::string finish();
  bool stopped() const { return stopped_; }          ///< a stop text came
  const std::string& text() const { return text_; }  ///< all that was given out

 private:
  void decode_next(bool last);
  std::string give(bool last);

  bool is_special(int64_t id) const { return from_file_ != nullptr && from_file_->is_special(id); }

  const Tokenizer& tokenizer_;
  const FileTokenizer* from_file_;  // the same, or null: other tokenizers have no special tokens
  std::vector<std::string> stops_;
  std::vector<int64_t> ids_;    // from the piece before the last one on
  size_t read_ = 0;             // of ids_, those whose text is known
  std::string known_;           // their text
  std::string waiting_, text_;  // known text that may be part of a stop text; given out
  bool stopped_ = false;
};

}  // namespace veomni
