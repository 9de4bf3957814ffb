// open_dataset: sources, tokenizer, fitted preprocessors, and lanes behind one object.
#include <cmath>
#include <filesystem>
#include <set>

#include "core/data/pack_feed.h"
#include "core/data/random.h"
#include "core/data/sample_source.h"
#include "core/data/source_tools.h"
#include "core/data/text.h"
#include "core/data/tokenizer.h"
#include "core/error.h"

namespace veomni {
namespace {

// Paths in format keys (labels) are relative to the recipe, like `path`.
SourceConfig with_absolute_paths(SourceConfig config, const std::string& folder) {
  auto labels = string_list(config, "labels");
  for (auto& path : labels) path = path_below(folder, path);
  if (!labels.empty() && config.format == "idx") config.keys["labels"] = labels;
  return config;
}

Json tables_json(const Recipe& recipe) {
  Json tables = Json::object();
  for (const auto& table : recipe.tables)
    tables[table.name] = {{"rows", table.rows}, {"dim", table.dim}, {"hash", table.hash}};
  return tables;
}

class RecipeDataset : public Dataset {
 public:
  RecipeDataset(const Recipe& recipe, const SpecRegistry& registry)
      : recipe_(recipe), context_{.recipe = &recipe_, .registry = &registry} {}

  void open(const Json& state) {
    make_preprocessors();
    const std::string folder = std::filesystem::path(recipe_.path).parent_path().string();
    for (auto& source : recipe_.sources) source = with_absolute_paths(source, folder);
    for (size_t i = 0; i < recipe_.sources.size(); ++i)
      sources_.push_back(open_sample_source(static_cast<int32_t>(i), recipe_.sources[i], context_));
    make_vocabulary(state);
    if (state.is_null())
      fit();
    else
      restore(state);
    for (const auto& source : sources_) source->prepare();
    make_plan();
  }

  const Tokenizer* tokenizer() const override { return tokenizer_.get(); }
  int64_t vocab_size() const override { return context_.vocab; }

  const Preprocessor& preprocessor(int32_t encoder) const override {
    return *preprocessors_.at(static_cast<size_t>(encoder));
  }

  int64_t source_size(int32_t source, bool eval) const override {
    return sources_.at(static_cast<size_t>(source))->size(eval);
  }

  void start(const std::vector<int64_t>& lanes, const Json& cursors) override {
    feed_.reset();
    std::vector<std::unique_ptr<Lane>> started;
    for (const int64_t number : lanes) {
      require<Error>(number >= 0 && number < plan_.lanes, "data: lane {} of {}", number,
                     plan_.lanes);
      started.push_back(std::make_unique<Lane>(plan_, number, saved_state(cursors, number)));
    }
    feed_ = std::make_unique<PackFeed>(std::move(started), recipe_.train.workers);
  }

  Pack next(int64_t lane) override { return feed().next(lane); }
  bool finished(int64_t lane) const override { return feed().finished(lane); }

  Json cursors() const override {
    return cursors_of([&](int64_t lane) { return feed().state(lane); });
  }
  Json cursors_before() const override {
    return cursors_of([&](int64_t lane) { return feed().state_before(lane); });
  }

  std::vector<Sample> train_samples(int32_t source, int64_t begin, int64_t end) const override {
    return samples_of(source, false, begin, end);
  }
  std::vector<Sample> eval_samples(int32_t source, int64_t begin, int64_t end) const override {
    return samples_of(source, true, begin, end);
  }

  Json state() const override {
    Json encoders = Json::object();
    for (size_t i = 0; i < preprocessors_.size(); ++i)
      encoders[recipe_.encoders[i].name] = preprocessors_[i]->state();
    return {{"tokenizer", tokenizer_ ? tokenizer_->state() : Json()},
            {"tables", tables_.state()},
            {"encoders", encoders}};
  }

 private:
  template <class StateOf>
  Json cursors_of(const StateOf& state_of) const {
    Json cursors = Json::object();
    for (const int64_t lane : feed().lanes())
      cursors[std::to_string(lane)] = state_of(lane).to_json(plan_);
    return cursors;
  }

  std::vector<Sample> samples_of(int32_t source, bool eval, int64_t begin, int64_t end) const {
    const auto& from = sources_.at(static_cast<size_t>(source));
    require<Error>(begin >= 0 && end <= from->size(eval), "data: samples {}..{} of {}", begin, end,
                   from->size(eval));
    std::vector<Sample> samples;
    for (int64_t place = begin; place < end; ++place)
      samples.push_back(from->sample(place, 0, eval, 0));
    return samples;
  }

  void make_preprocessors() {
    const Json tables = tables_json(recipe_);
    for (const auto& encoder : recipe_.encoders) {
      const PartSpec& spec = context_.registry->get(SpecRegistry::Kind::encoder, encoder.type);
      require<Error>(static_cast<bool>(spec.make_preprocessor), "encoder '{}' has no preprocessor",
                     encoder.type);
      preprocessors_.push_back(spec.make_preprocessor(encoder, tables));
      context_.preprocessors.push_back(preprocessors_.back().get());
    }
  }

  void make_vocabulary(const Json& state) {
    context_.vocab = recipe_.base.vocab_size;  // ids of format tokens need no tokenizer
    if (recipe_.tokenizer.empty()) return;
    if (state.is_null()) {
      tokenizer_ = make_tokenizer(recipe_.tokenizer, [&](const auto& visit) {
        for (const auto& source : sources_) source->each_text(visit);
      });
    } else {
      const auto saved = state.find("tokenizer");
      require<ConfigError>(
          saved != state.end() && saved->is_object(),
          "tokenizer: the checkpoint holds none; use the recipe it was trained with");
      tokenizer_ = restore_tokenizer(*saved, recipe_.tokenizer);
    }
    const int64_t size = tokenizer_->vocab_size(), wanted = recipe_.base.vocab_size;
    require<ConfigError>(
        wanted == 0 || wanted >= size,
        "model.base.vocab_size: is {}, but the tokenizer has {} ids; raise it, or leave it out",
        wanted, size);
    context_.tokenizer = tokenizer_.get();
    context_.vocab = wanted == 0 ? size : wanted;
  }

  // Every part sees the training records of the sources that use it; tables they share are numbered
  // when all have counted.
  void fit() {
    TableCounts shared;
    for (size_t e = 0; e < preprocessors_.size(); ++e) {
      if (!preprocessors_[e]->needs_fit()) continue;
      preprocessors_[e]->fit(
          [&](const std::function<void(const Record&)>& visit) {
            for (size_t s = 0; s < sources_.size(); ++s)
              if (uses(recipe_.sources[s], recipe_.encoders[e].name))
                sources_[s]->each_training_record(visit);
          },
          shared);
    }
    for (const auto& table : recipe_.tables) {
      if (!table.hash.empty()) continue;
      const int64_t least = std::max<int64_t>(1, shared.min_count[table.name]);
      tables_.tables[table.name] = std::make_shared<const Vocabulary>(
          shared.counts[table.name].ranked(table.rows - Vocabulary::kFirst, least));
    }
    for (const auto& preprocessor : preprocessors_) preprocessor->use_tables(tables_);
  }

  static bool uses(const SourceConfig& source, const std::string& encoder) {
    for (const auto& segment : source.sample)
      if (segment.part == encoder) return true;
    return false;
  }

  void restore(const Json& state) try {
    tables_ = TableVocabularies::restore(state.at("tables"));
    for (size_t e = 0; e < preprocessors_.size(); ++e) {
      const std::string& name = recipe_.encoders[e].name;
      require<ConfigError>(state.at("encoders").contains(name),
                           "model.encoders.{}: the checkpoint knows no such encoder; use the "
                           "recipe it was trained with",
                           name);
      if (preprocessors_[e]->needs_fit()) preprocessors_[e]->restore(state.at("encoders").at(name));
      preprocessors_[e]->use_tables(tables_);
    }
  } catch (const Json::exception& error) {
    throw ConfigError(fmt::format("checkpoint: its data state is damaged ({})", error.what()));
  }

  void make_plan() {
    plan_.seed =
        mix_key({static_cast<uint64_t>(recipe_.seed)}) | 1;  // 0 would mean no augmentation
    plan_.lanes = recipe_.train.packs;
    plan_.pack_tokens = recipe_.train.pack_tokens;
    double total = 0;
    for (size_t i = 0; i < sources_.size(); ++i) {
      const SourceConfig& config = recipe_.sources[i];
      const int64_t size = sources_[i]->size(false);
      require<ConfigError>(
          config.weight == 0 || size > 0,
          "data.sources.{}.split.train: holds no sample; widen the range, or set weight 0",
          config.name);
      plan_.sources.push_back(sources_[i].get());
      plan_.names.push_back(config.name);
      plan_.weights.push_back(config.weight);
      plan_.by_tokens =
          config.keys.is_object() && config.keys.value("weight_by", "samples") == "tokens";
      plan_.sizes.push_back(size);
      plan_.ends.push_back(recipe_.train.epochs > 0
                               ? std::llround(recipe_.train.epochs * static_cast<double>(size))
                               : -1);
      total += config.weight;
    }
    require<ConfigError>(total > 0,
                         "data.sources: every weight is 0; give one source a weight above 0");
  }

  LaneState saved_state(const Json& cursors, int64_t lane) const {
    if (cursors.is_null()) return {};
    const auto found = cursors.find(std::to_string(lane));
    require<ConfigError>(
        found != cursors.end(),
        "checkpoint: has no data cursor of lane {}; train.packs cannot change on resume", lane);
    return LaneState::from_json(*found, plan_);
  }

  PackFeed& feed() const {
    require<Error>(feed_ != nullptr, "data: start was not called");
    return *feed_;
  }

  Recipe recipe_;
  SampleContext context_;
  std::vector<std::unique_ptr<Preprocessor>> preprocessors_;
  std::vector<std::unique_ptr<SampleSource>> sources_;
  std::unique_ptr<Tokenizer> tokenizer_;
  TableVocabularies tables_;
  LanePlan plan_;
  std::unique_ptr<PackFeed> feed_;  // last: its threads use all of the above
};

}  // namespace

std::unique_ptr<Dataset> open_dataset(const Recipe& recipe, const Json& state,
                                      const SpecRegistry& registry) {
  auto dataset = std::make_unique<RecipeDataset>(recipe, registry);
  dataset->open(state);
  return dataset;
}

}  // namespace veomni
