#include "core/tokenizer/file_tokenizer.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <filesystem>

#include "core/data/file_bytes.h"
#include "core/error.h"
#include "core/tokenizer/unicode.h"

namespace veomni {
namespace {

constexpr uintmax_t kMostBytes = uintmax_t{256} << 20;

TokenizerParts read_parts(const std::string& bytes, const std::string& file) {
  require<ConfigError>(bytes.size() <= kMostBytes, "{}: has {} bytes; a tokenizer has at most {}",
                       file, bytes.size(), kMostBytes);
  return file.ends_with(".model") ? read_sentencepiece_model(bytes, file)
                                  : read_tokenizer_json(bytes, file);
}

/// `start` are the ids of the text up to the mark alone, `ids` from `first` on those of the whole.
TokenMark mark_of(const std::vector<int64_t>& start, const std::vector<int64_t>& ids,
                  size_t first) {
  size_t same = 0;
  while (same < start.size() && first + same < ids.size() && start[same] == ids[first + same])
    ++same;
  const size_t at = first + same;
  return {at, same == start.size() ? at : std::min(at + 1, ids.size())};
}

class ModelSink : public PieceSink {
 public:
  ModelSink(const TokenModel& model, std::vector<int64_t>& ids) : model_(model), ids_(ids) {}
  void take(std::string_view piece, bool, Workspace& work) override {
    model_.encode(piece, work, ids_);
  }

 private:
  const TokenModel& model_;
  std::vector<int64_t>& ids_;
};

}  // namespace

/// A workspace for one call.
class FileTokenizer::Lease {
 public:
  explicit Lease(const FileTokenizer& owner) : owner_(owner) {
    const std::lock_guard lock(owner.mutex_);
    if (owner.free_.empty()) {
      work_ = std::make_unique<Workspace>();
    } else {
      work_ = std::move(owner.free_.back());
      owner.free_.pop_back();
    }
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() {
    const std::lock_guard lock(owner_.mutex_);
    owner_.free_.push_back(std::move(work_));
  }
  Workspace& work() { return *work_; }

 private:
  const FileTokenizer& owner_;
  std::unique_ptr<Workspace> work_;
};

FileTokenizer::FileTokenizer(const std::string& path) {
  const std::string file = find_tokenizer_file(path);
  const std::string bytes = read_file_bytes(file);
  parts_ = read_parts(bytes, file);
  vocab_size_ = std::max(parts_.model->tokens().size(), parts_.added.largest_id() + 1);
  for (const auto* ids : {&parts_.around.before, &parts_.around.after})
    for (const int64_t id : *ids)
      require<ConfigError>(id < vocab_size_,
                           "{}: post_processor: the id {} is not in the vocabulary of {} tokens; "
                           "restore the file",
                           file, id, vocab_size_);
  file_bytes_ = static_cast<int64_t>(bytes.size());
  file_hash_ = XXH64(bytes.data(), bytes.size(), 0);
}

std::vector<int64_t> FileTokenizer::encode(std::string_view text) const {
  std::vector<TokenMark> places;
  return encode(text, {}, places);
}

std::vector<int64_t> FileTokenizer::encode(std::string_view text, const std::vector<size_t>& marks,
                                           std::vector<TokenMark>& places) const {
  places.clear();
  const size_t invalid = find_invalid_utf8(text);
  require<ConfigError>(
      invalid == std::string_view::npos,
      "invalid UTF-8 at byte {}; convert the text to UTF-8, or use the tokenizer 'bytes'", invalid);
  Lease lease(*this);
  std::vector<int64_t> ids;
  ids.reserve(text.size() / 4 + 1);
  parts_.added.raw().cut(text, [&](std::string_view piece, int32_t id) {
    const size_t first = ids.size();
    const bool leads = piece.data() == text.data();
    if (id >= 0)
      ids.push_back(id);
    else
      encode_piece(piece, leads, lease.work(), ids);
    const auto begin = static_cast<size_t>(piece.data() - text.data());
    while (places.size() < marks.size() && marks[places.size()] < begin + piece.size()) {
      const std::string_view before = piece.substr(0, marks[places.size()] - begin);
      std::vector<int64_t> start;
      if (!before.empty() && id < 0) encode_piece(before, leads, lease.work(), start);
      const bool inside = id >= 0 && !before.empty();
      places.push_back(inside ? TokenMark{first, first + 1} : mark_of(start, ids, first));
    }
  });
  places.resize(marks.size(), {ids.size(), ids.size()});
  return ids;
}

void FileTokenizer::encode_piece(std::string_view piece, bool first, Workspace& work,
                                 std::vector<int64_t>& ids) const {
  std::string normalized;
  if (parts_.normalizer) {
    normalized = piece;
    parts_.normalizer->apply(normalized, work);
    piece = normalized;
  }
  ModelSink sink(*parts_.model, ids);
  parts_.added.normalized().cut(piece, [&](std::string_view part, int32_t id) {
    if (id >= 0)
      ids.push_back(id);
    else if (parts_.pre_tokenizer)
      parts_.pre_tokenizer->cut(part, first && part.data() == piece.data(), work, sink);
    else
      parts_.model->encode(part, work, ids);
  });
}

std::vector<int64_t> FileTokenizer::encode_with_special_tokens(std::string_view text) const {
  std::vector<int64_t> ids = parts_.around.before;
  const auto middle = encode(text);
  ids.insert(ids.end(), middle.begin(), middle.end());
  ids.insert(ids.end(), parts_.around.after.begin(), parts_.around.after.end());
  return ids;
}

const std::string* FileTokenizer::token(int64_t id) const {
  const AddedToken* added = parts_.added.find(id);
  return added != nullptr ? &added->content : parts_.model->tokens().token(id);
}

std::string FileTokenizer::decode(const std::vector<int64_t>& ids) const {
  std::vector<std::string> tokens;
  for (const int64_t id : ids)
    if (const auto* found = token(id)) tokens.push_back(*found);
  std::string text;
  if (parts_.decoder) {
    Lease lease(*this);
    parts_.decoder->apply(tokens, lease.work());
    for (const auto& piece : tokens) text += piece;
    return text;
  }
  for (size_t i = 0; i < tokens.size(); ++i) text.append(i == 0 ? "" : " ").append(tokens[i]);
  return text;
}

Json FileTokenizer::state() const {
  return {{"type", "file"}, {"bytes", file_bytes_}, {"xxh64", fmt::format("{:016x}", file_hash_)}};
}

std::string find_tokenizer_file(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  require<ConfigError>(fs::exists(path, error),
                       "{}: no such tokenizer; give \"characters\", \"bytes\", or a tokenizer.json "
                       "or tokenizer.model",
                       path);
  if (!fs::is_directory(path, error)) return path;
  for (const char* name : {"tokenizer.json", "tokenizer.json.gz", "tokenizer.model"})
    if (fs::exists(fs::path(path) / name, error)) return (fs::path(path) / name).string();
  throw ConfigError(fmt::format(
      "{}: holds neither tokenizer.json nor tokenizer.model; give a directory with one", path));
}

}  // namespace veomni
