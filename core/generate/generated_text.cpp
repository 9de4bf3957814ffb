#include "core/generate/generated_text.h"

#include <algorithm>

#include "core/data/text.h"

namespace veomni {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr size_t kPromptTokens = 8;  // of the prompt: enough for what decoders do between tokens

/// Whether the text ends inside a character, or in one that a decoder could not make out so far.
bool ends_unfinished(const std::string& text) {
  if (text.ends_with(kReplacement)) return true;
  for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const auto byte = static_cast<uint8_t>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;  // a following byte
    const size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return byte < 0xF8 && length > back;
  }
  return false;
}

std::string valid_utf8(std::string_view text) {
  std::string out;
  for (size_t offset = 0; offset < text.size();) {
    const size_t start = offset;
    if (next_code_point(text, offset) >= 0) {
      out.append(text.substr(start, offset - start));
    } else {
      out.append(kReplacement);
      ++offset;
    }
  }
  return out;
}

/// Bytes at the end of `text` that begin `stop` without being all of it.
size_t overlap(const std::string& text, const std::string& stop) {
  size_t length = std::min(text.size(), stop.size() - 1);
  while (length > 0 && text.compare(text.size() - length, length, stop, 0, length) != 0) --length;
  return length;
}

}  // namespace

GeneratedText::GeneratedText(const Tokenizer& tokenizer, const std::vector<int64_t>& prompt,
                             std::vector<std::string> stops)
    : tokenizer_(tokenizer),
      from_file_(dynamic_cast<const FileTokenizer*>(&tokenizer)),
      stops_(std::move(stops)) {
  std::erase(stops_, std::string());
  for (auto id = prompt.rbegin(); id != prompt.rend() && ids_.size() < kPromptTokens; ++id)
    if (!is_special(*id)) ids_.insert(ids_.begin(), *id);
  read_ = ids_.size();
  known_ = tokenizer_.decode(ids_);
}

std::string GeneratedText::push(int64_t id) {
  if (stopped_ || is_special(id)) return "";
  ids_.push_back(id);
  decode_next(/*last=*/false);
  return give(/*last=*/false);
}

std::string GeneratedText::finish() {
  if (!stopped_) decode_next(/*last=*/true);
  return give(/*last=*/true);
}

void GeneratedText::decode_next(bool last) {
  const std::string all = tokenizer_.decode(ids_);
  if (all.size() <= known_.size() || (!last && ends_unfinished(all))) return;
  waiting_ += valid_utf8(std::string_view(all).substr(known_.size()));
  ids_.erase(ids_.begin(), ids_.begin() + static_cast<int64_t>(read_));
  read_ = ids_.size();
  known_ = tokenizer_.decode(ids_);
}

std::string GeneratedText::give(bool last) {
  size_t end = waiting_.size(), held = 0;
  for (const auto& stop : stops_) {
    if (const size_t found = waiting_.find(stop); found != std::string::npos) {
      end = std::min(end, found);
      stopped_ = true;
    } else {
      held = std::max(held, overlap(waiting_, stop));
    }
  }
  if (!stopped_ && !last) end -= held;
  std::string piece = waiting_.substr(0, end);
  waiting_.erase(0, stopped_ ? waiting_.size() : end);
  text_ += piece;
  return piece;
}

}  // namespace veomni
