#include "core/data/sample_source.h"

#include <cmath>
#include <optional>

#include "core/data/file_bytes.h"
#include "core/data/random.h"
#include "core/data/source_tools.h"
#include "core/data/tokenizer.h"
#include "core/error.h"
#include "core/recipe/chat_config.h"

namespace veomni {
namespace {

enum Purpose : uint64_t { kPhase = 11, kAugment = 12 };

struct Span {
  int64_t begin = 0, end = 0;
};

// A range of fractions as record numbers; neighbours share their rounded border.
Span span_of(const Range& range, int64_t count) {
  const auto at = [&](double fraction) {
    return static_cast<int64_t>(std::llround(fraction * static_cast<double>(count)));
  };
  return {at(range.begin), at(range.end)};
}

class RecordSamples : public SampleSource {
 public:
  RecordSamples(int32_t number, const SourceConfig& config, const SampleContext& context)
      : number_(number),
        config_(config),
        context_(context),
        source_(open_source(config, needed_fields(config, context))),
        train_(span_of(config.train, source_->size())) {
    if (config.eval) eval_ = span_of(*config.eval, source_->size());
  }

  int64_t size(bool eval) const override {
    return eval ? eval_.end - eval_.begin : train_.end - train_.begin;
  }

  Sample sample(int64_t place, int64_t epoch, bool eval, uint64_t seed) const override {
    const int64_t index = (eval ? eval_ : train_).begin + place;
    if (seed == 0) return builder_->build(index, 0);
    const auto wide = [](int64_t n) { return static_cast<uint64_t>(n); };
    const uint64_t drawn =
        mix_key({seed, kAugment, static_cast<uint64_t>(number_), wide(epoch), wide(index)});
    return builder_->build(index, drawn | 1);  // 0 would mean none
  }

  void each_training_record(const std::function<void(const Record&)>& visit) const override {
    Record record;
    for (int64_t i = train_.begin; i < train_.end; ++i) {
      source_->read(i, record, false);
      try {
        visit(record);
      } catch (const ConfigError& error) {
        throw ConfigError(source_->where(i) + ": " + error.what());
      }
    }
  }

  void each_text(
      const std::function<void(std::string_view, const std::string&)>& visit) const override {
    Record record;
    for (const auto& segment : config_.sample) {
      if (segment.part != "text" || config_.format == "tokens" || is_chat_format(config_.format))
        continue;
      const std::string field = segment.field.empty() ? "text" : segment.field;
      for (int64_t i = 0; i < source_->size(); ++i) {
        source_->read(i, record, false);
        const Value* value = record.find(field);
        if (value == nullptr) continue;
        std::string scratch;
        const auto* text = std::get_if<std::string>(value);
        visit(text != nullptr ? std::string_view(*text) : to_category(*value, scratch),
              source_->where(i) + ": " + field);
      }
    }
  }

  void prepare() override { builder_.emplace(number_, config_, context_, *source_); }

 private:
  int32_t number_;
  const SourceConfig config_;
  const SampleContext& context_;
  std::unique_ptr<Source> source_;
  Span train_, eval_;
  std::optional<SampleBuilder> builder_;
};

class TextSamples : public SampleSource {
 public:
  TextSamples(int32_t number, const SourceConfig& config, const SampleContext& context)
      : number_(number), config_(config), context_(context) {
    const std::string where = "data.sources." + config.name;
    const bool only_text = config.sample.size() == 1 && config.sample[0].part == "text" &&
                           (config.sample[0].field.empty() || config.sample[0].field == "text");
    require<ConfigError>(
        only_text && config.targets.empty() && config.sample_weight.empty() && config.group.empty(),
        "{}: format text gives one segment {{\"part\": \"text\", \"field\": \"text\"}} and no "
        "targets; use jsonl or csv for more",
        where);
    window_ = context.recipe->train.pack_tokens;
    if (const auto found = config.keys.find("sample_tokens");
        found != config.keys.end() && !found->is_null()) {
      require<ConfigError>(
          found->is_number_integer() && *found >= 1 && *found <= window_,
          "{}.sample_tokens: must be an integer from 1 to train.pack_tokens, which is {}", where,
          window_);
      window_ = found->get<int64_t>();
    }
    for (const auto& path : config.paths) texts_.push_back(read_file_bytes(path));
  }

  int64_t size(bool eval) const override { return (eval ? eval_ : train_).count; }

  Sample sample(int64_t place, int64_t epoch, bool eval, uint64_t seed) const override {
    const TextWindows& windows = eval ? eval_ : train_;
    int64_t phase = 0;
    if (seed != 0) {
      const uint64_t bits =
          mix_key({seed, kPhase, static_cast<uint64_t>(number_), static_cast<uint64_t>(epoch)});
      phase = static_cast<int64_t>(below(bits, static_cast<uint64_t>(windows.phases)));
    }
    const auto span = windows.span(place, phase);
    Sample sample;
    sample.source = number_;
    sample.index = place;
    stream_.copy(span.start, span.start + span.length, sample.ids);
    if (config_.sample[0].learn)
      stream_.copy(span.start + 1, span.start + span.length + 1, sample.labels);
    else
      sample.labels.assign(sample.ids.size(), kIgnore);
    return sample;
  }

  void each_training_record(const std::function<void(const Record&)>&) const override {}

  void each_text(
      const std::function<void(std::string_view, const std::string&)>& visit) const override {
    for (size_t i = 0; i < texts_.size(); ++i) visit(texts_[i], config_.paths[i]);
  }

  void prepare() override {
    require<ConfigError>(
        context_.tokenizer != nullptr,
        "data.sources.{}: text needs a tokenizer; add \"tokenizer\": \"characters\"", config_.name);
    const auto around = special_tokens_around(*context_.tokenizer);
    std::vector<int64_t> ids;
    each_text([&](std::string_view text, const std::string& path) {
      try {
        // A file is one whole text, however it is cut later.
        for (const auto& more : {around.before, context_.tokenizer->encode(text), around.after})
          ids.insert(ids.end(), more.begin(), more.end());
      } catch (const ConfigError& error) {
        throw ConfigError(path + ": " + error.what());
      }
    });
    texts_.clear();
    const auto count = static_cast<int64_t>(ids.size());
    require<ConfigError>(count >= 2, "{}: has {} tokens; give a text of at least two",
                         config_.paths.front(), count);
    stream_ = TokenStream(ids, context_.tokenizer->vocab_size());
    const Span train = span_of(config_.train, count);
    train_ = TextWindows(train.begin, train.end, window_, true);
    if (!config_.eval) return;
    const Span eval = span_of(*config_.eval, count);
    eval_ = TextWindows(eval.begin, eval.end, window_, false);
  }

 private:
  int32_t number_;
  const SourceConfig config_;
  const SampleContext& context_;
  int64_t window_ = 0;
  std::vector<std::string> texts_;  // until they are tokens
  TokenStream stream_;
  TextWindows train_, eval_;
};

}  // namespace

std::unique_ptr<SampleSource> open_sample_source(int32_t number, const SourceConfig& config,
                                                 const SampleContext& context) {
  if (config.format == "text") return std::make_unique<TextSamples>(number, config, context);
  return std::make_unique<RecordSamples>(number, config, context);
}

}  // namespace veomni
