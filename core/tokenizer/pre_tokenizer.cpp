#include "core/tokenizer/pre_tokenizer.h"

#include "core/data/text.h"
#include "core/tokenizer/byte_alphabet.h"
#include "core/tokenizer/cut_spans.h"
#include "core/tokenizer/normalizer.h"
#include "core/tokenizer/unicode.h"
#include "core/tokenizer/unicode_versions.h"

namespace veomni {
namespace {

using Made = std::unique_ptr<PreTokenizer>;

// openai/gpt-2, src/encoder.py
constexpr std::string_view kGpt2Words =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// \w+|[^\w\s]+ with \w as UTS #18 has it
constexpr std::string_view kWhitespaceWords =
    R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+)"
    R"(|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\s]+)";

void cut_by_regex(const Regex& regex, bool invert, std::string_view piece, RegexScratch& scratch,
                  SpanCutter& cutter) {
  std::string copy;
  const std::string_view seen = for_regex(piece, copy);
  size_t begin = 0, end = 0;
  for (size_t at = 0; at < seen.size() && regex.find(seen, at, begin, end, scratch); at = end) {
    cutter.add(begin, invert);
    cutter.add(end, !invert);
  }
  cutter.add(piece.size(), invert);
  cutter.flush();
}

class Split : public PreTokenizer {
 public:
  /// `pattern` null: nothing matches.
  Split(std::unique_ptr<Regex> pattern, CutBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}

  void cut(std::string_view piece, bool first, Workspace& work, PieceSink& sink) const override {
    SpanCutter cutter(behavior_, piece, first, work, sink);
    if (pattern_) return cut_by_regex(*pattern_, invert_, piece, work.regex, cutter);
    cutter.add(piece.size(), invert_);
    cutter.flush();
  }

 private:
  std::unique_ptr<Regex> pattern_;
  CutBehavior behavior_;
  bool invert_;
};

/// Cuts at the code points that `Matches` holds for, each a match of its own.
template <bool (*Matches)(int32_t)>
class CharacterSplit : public PreTokenizer {
 public:
  explicit CharacterSplit(CutBehavior behavior) : behavior_(behavior) {}

  void cut(std::string_view piece, bool first, Workspace& work, PieceSink& sink) const override {
    SpanCutter cutter(behavior_, piece, first, work, sink);
    for (size_t at = 0; at < piece.size();) {
      const size_t begin = at;
      if (!Matches(read_code_point(piece, at))) continue;
      cutter.add(begin, false);
      cutter.add(at, true);
    }
    cutter.add(piece.size(), false);
    cutter.flush();
  }

 private:
  CutBehavior behavior_;
};

class ByteLevel : public PreTokenizer {
 public:
  ByteLevel(Component& json, size_t& buffer)
      : add_prefix_space_(json.flag("add_prefix_space", true)), buffer_(buffer) {
    if (json.flag("use_regex", true)) regex_ = std::make_unique<Regex>(kGpt2Words, json.where());
    json.ignore("trim_offsets");
    buffer += 2;
  }

  void cut(std::string_view piece, bool first, Workspace& work, PieceSink& sink) const override {
    if (add_prefix_space_ && piece.front() != ' ') {
      std::string& spaced = work.buffer(buffer_);
      spaced.assign(" ").append(piece);
      piece = spaced;
    }
    Mapper mapper(work.buffer(buffer_ + 1), sink);
    if (!regex_) return mapper.take(piece, first, work);
    SpanCutter cutter(CutBehavior::isolated, piece, first, work, mapper);
    cut_by_regex(*regex_, false, piece, work.regex, cutter);
  }

 private:
  class Mapper : public PieceSink {
   public:
    Mapper(std::string& mapped, PieceSink& sink) : mapped_(mapped), sink_(sink) {}
    void take(std::string_view piece, bool first, Workspace& work) override {
      mapped_.clear();
      append_byte_characters(piece, mapped_);
      sink_.take(mapped_, first, work);
    }

   private:
    std::string& mapped_;
    PieceSink& sink_;
  };

  bool add_prefix_space_;
  size_t buffer_;
  std::unique_ptr<Regex> regex_;
};

class Metaspace : public PreTokenizer {
 public:
  Metaspace(Component& json, size_t& buffer)
      : replacement_(one_character(json, "replacement", "\xE2\x96\x81")), buffer_(buffer++) {
    const bool prefix = json.flag("add_prefix_space", true);
    const std::string scheme = json.text("prepend_scheme", prefix ? "always" : "never");
    if (scheme != "always" && scheme != "first" && scheme != "never")
      json.refuse(fmt::format("unknown prepend_scheme '{}'", shown(scheme)),
                  "give always, first or never");
    if (!prefix && scheme != "never")
      json.refuse("add_prefix_space is false, but prepend_scheme is " + scheme, "give never");
    always_ = scheme == "always", at_start_ = scheme == "first";
    split_ = json.flag("split", true);
    json.ignore("str_rep");
  }

  void cut(std::string_view piece, bool first, Workspace& work, PieceSink& sink) const override {
    std::string& text = work.buffer(buffer_);
    text.clear();
    const bool starts = piece.front() == ' ' || piece.starts_with(replacement_);
    if (!starts && (always_ || (at_start_ && first))) text += replacement_;
    for (const char c : piece) c == ' ' ? (void)text.append(replacement_) : text.push_back(c);
    if (!split_) return sink.take(text, first, work);
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find(replacement_, begin + 1), text.size());
      sink.take(std::string_view(text).substr(begin, end - begin), first && begin == 0, work);
      begin = end;
    }
  }

 private:
  std::string replacement_;
  size_t buffer_;
  bool always_ = false, at_start_ = false, split_ = true;
};

/// Two steps and more, each fed by the one before.
class Sequence : public PreTokenizer {
 public:
  explicit Sequence(std::vector<Made> parts) : parts_(std::move(parts)) {}

  void cut(std::string_view piece, bool first, Workspace& work, PieceSink& sink) const override {
    feed(0, piece, first, work, sink);
  }

 private:
  struct Link : PieceSink {
    Link(const Sequence& all, size_t number, PieceSink& last)
        : sequence(all), next(number), sink(last) {}
    void take(std::string_view piece, bool first, Workspace& work) override {
      sequence.feed(next, piece, first, work, sink);
    }
    const Sequence& sequence;
    size_t next;
    PieceSink& sink;
  };

  void feed(size_t number, std::string_view piece, bool first, Workspace& work,
            PieceSink& sink) const {
    if (number == parts_.size()) return sink.take(piece, first, work);
    Link link(*this, number + 1, sink);
    parts_[number]->cut(piece, first, work, link);
  }

  std::vector<Made> parts_;
};

CutBehavior behavior_of(Component& json, const std::string& fallback) {
  const std::string name =
      fallback.empty() ? json.text("behavior") : json.text("behavior", fallback);
  if (name == "Removed") return CutBehavior::removed;
  if (name == "Isolated") return CutBehavior::isolated;
  if (name == "MergedWithPrevious") return CutBehavior::merged_with_previous;
  if (name == "MergedWithNext") return CutBehavior::merged_with_next;
  if (name == "Contiguous") return CutBehavior::contiguous;
  json.refuse_type("behavior", name,
                   "Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous");
}

Made make_sequence(Component& json, size_t& buffer) {
  const FileJson& list = json.array("pretokenizers");
  std::vector<Made> parts;
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].is_null()) json.refuse(fmt::format("pretokenizers.{} is null", i), "remove it");
    parts.push_back(
        make_pre_tokenizer(list[i], fmt::format("{}.{}", json.at("pretokenizers"), i), buffer));
  }
  return std::make_unique<Sequence>(std::move(parts));
}

Made make_bert() {
  std::vector<Made> parts;
  parts.push_back(std::make_unique<CharacterSplit<is_white_space>>(CutBehavior::removed));
  parts.push_back(std::make_unique<CharacterSplit<is_punctuation>>(CutBehavior::isolated));
  return std::make_unique<Sequence>(std::move(parts));
}

Made make_known(const std::string& type, Component& json, size_t& buffer) {
  if (type == "ByteLevel") return std::make_unique<ByteLevel>(json, buffer);
  if (type == "Split") {
    auto pattern = make_pattern(json, "pattern");
    const CutBehavior behavior = behavior_of(json, "");
    return std::make_unique<Split>(std::move(pattern), behavior, json.flag("invert", false));
  }
  if (type == "Whitespace")
    return std::make_unique<Split>(std::make_unique<Regex>(kWhitespaceWords, json.where()),
                                   CutBehavior::removed, true);
  if (type == "WhitespaceSplit")
    return std::make_unique<CharacterSplit<is_white_space>>(CutBehavior::removed);
  if (type == "BertPreTokenizer") return make_bert();
  if (type == "Metaspace") return std::make_unique<Metaspace>(json, buffer);
  if (type == "Digits")
    return std::make_unique<CharacterSplit<is_number>>(
        json.flag("individual_digits", false) ? CutBehavior::isolated : CutBehavior::contiguous);
  if (type == "Punctuation")
    return std::make_unique<CharacterSplit<is_punctuation>>(behavior_of(json, "Isolated"));
  if (type == "CharDelimiterSplit")
    return std::make_unique<Split>(
        std::make_unique<Regex>(Regex::literal(one_character(json, "delimiter", ""), json.where())),
        CutBehavior::removed, false);
  if (type == "Sequence") return make_sequence(json, buffer);
  json.refuse_type("pre-tokenizer", type,
                   "ByteLevel, Split, Whitespace, WhitespaceSplit, BertPreTokenizer, Metaspace, "
                   "Digits, Punctuation, CharDelimiterSplit, Sequence");
}

}  // namespace

std::unique_ptr<PreTokenizer> make_pre_tokenizer(const FileJson& json, const std::string& where,
                                                 size_t& buffer) {
  if (json.is_null()) return nullptr;
  Component component(json, where);
  auto made = make_known(component.text("type"), component, buffer);
  component.finish();
  return made;
}

}  // namespace veomni
