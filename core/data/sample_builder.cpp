#include "core/data/sample_builder.h"

#include <algorithm>
#include <cmath>

#include "core/data/source_tools.h"
#include "core/data/text.h"
#include "core/data/tokenizer.h"
#include "core/error.h"
#include "core/recipe/checks.h"

namespace veomni {
namespace {

constexpr const char* kLabels = "labels";  // of format tokens; may be absent

// A key of a target that holds one value or a list, as the texts that categories compare by.
std::vector<std::string> category_list(const Json& keys, const char* key) {
  std::vector<std::string> texts;
  if (!keys.is_object() || !keys.contains(key) || keys.at(key).is_null()) return texts;
  const Json& value = keys.at(key);
  for (const Json& item : value.is_array() ? value : Json::array({value}))
    texts.push_back(item.is_string()           ? std::string(trim(item.get<std::string>()))
                    : item.is_number_integer() ? std::to_string(item.get<int64_t>())
                                               : to_category(item.get<double>()));
  return texts;
}

/// A list of integers; null when the field is missing.
const std::vector<int64_t>* integers(const Record& record, const std::string& field) {
  const Value* value = record.find(field);
  if (value == nullptr || std::holds_alternative<std::monostate>(*value)) return nullptr;
  const auto* list = std::get_if<std::vector<int64_t>>(value);
  require<ConfigError>(list != nullptr, "{}: is no list of integers; give token ids", field);
  return list;
}

/// Appends a segment's ids. labels[i] is what the position before ids[i] predicts, unless it is kIgnore; nothing stands
/// before a sample's first.
void append_tokens(const std::vector<int64_t>& ids, const std::vector<int64_t>& labels, bool learn,
                   Sample& sample) {
  const size_t start = sample.ids.size();
  sample.ids.insert(sample.ids.end(), ids.begin(), ids.end());
  sample.labels.resize(sample.ids.size(), kIgnore);
  for (size_t i = start == 0 ? 1 : 0; learn && i < labels.size(); ++i)
    if (labels[i] != kIgnore) sample.labels[start + i - 1] = labels[i];
}

}  // namespace

int32_t part_index(const std::vector<PartConfig>& parts, const std::string& name,
                   const std::string& where) {
  for (size_t i = 0; i < parts.size(); ++i)
    if (parts[i].name == name) return static_cast<int32_t>(i);
  throw ConfigError(fmt::format("{}: there is no part '{}'; known: {}", where, name,
                                join_names(part_names(parts))));
}

std::vector<std::string> needed_fields(const SourceConfig& config, const SampleContext& context) {
  std::vector<std::string> fields;
  const auto need = [&](const std::string& field) {
    if (!field.empty() && std::find(fields.begin(), fields.end(), field) == fields.end())
      fields.push_back(field);
  };
  const std::string where = "data.sources." + config.name;
  for (const auto& segment : config.sample) {
    if (segment.part == "text") {
      need(segment.field.empty() ? "text" : segment.field);
      continue;
    }
    const int32_t encoder = part_index(context.recipe->encoders, segment.part, where + ".sample");
    for (const auto& field : context.preprocessors[static_cast<size_t>(encoder)]->fields(segment)) {
      require<ConfigError>(!field.empty(), "{}.sample: the segment '{}' needs \"field\"", where,
                           segment.part);
      need(field);
    }
  }
  for (const auto& target : config.targets) need(target.field);
  if (config.format == "tokens") need(kLabels);
  need(config.sample_weight);
  need(config.group);
  return fields;
}

SampleBuilder::SampleBuilder(int32_t number, const SourceConfig& config,
                             const SampleContext& context, const Source& source)
    : number_(number), config_(config), context_(context), source_(source) {
  const std::string where = "data.sources." + config.name;
  require<ConfigError>(!config.sample.empty(), "{}.sample: must have at least one segment", where);
  for (const auto& segment : config.sample) {
    const bool text = segment.part == "text";
    require<ConfigError>(!text || config.format == "tokens" || context.tokenizer != nullptr,
                         "{}.sample: text needs a tokenizer; add \"tokenizer\": \"characters\"",
                         where);
    encoders_.push_back(
        text ? -1 : part_index(context.recipe->encoders, segment.part, where + ".sample"));
    if (text && config.format != "tokens") last_text_ = encoders_.size() - 1;
  }
  chat_config_ = chat_config(config);
  if (chat_config_) chat_.emplace(*chat_config_, *context.tokenizer, context.recipe->tokenizer);
  // A chat template writes its special tokens itself.
  if (last_text_ != kNoText && !chat_) around_ = special_tokens_around(*context.tokenizer);
  for (const auto& target : config.targets) labels_.push_back(read_label(target));
}

SampleBuilder::Label SampleBuilder::read_label(const TargetConfig& target) const {
  const std::string where = "data.sources." + config_.name + ".targets";
  Label label;
  label.head = part_index(context_.recipe->heads, target.head, where);
  label.config = &target;
  label.part = &context_.recipe->heads[static_cast<size_t>(label.head)];
  label.spec = &context_.registry->get(SpecRegistry::Kind::head, label.part->type);
  label.positive = category_list(target.keys, "positive");
  label.classes = category_list(target.keys, "classes");
  return label;
}

Sample SampleBuilder::build(int64_t index, uint64_t seed) const {
  thread_local Record record;  // keeps its strings' memory from one record to the next
  source_.read(index, record);
  Sample sample;
  sample.source = number_;
  sample.index = index;
  try {
    sample.weight = sample_weight(record);
    append_tokens(around_.before, around_.before, false, sample);
    for (size_t i = 0; i < config_.sample.size(); ++i) add_segment(i, record, seed, sample);
    add_targets(record, sample);
    check(sample);
  } catch (const ConfigError& error) {
    throw ConfigError(source_.where(index) + ": " + error.what());
  }
  return sample;
}

void SampleBuilder::add_segment(size_t i, const Record& record, uint64_t seed,
                                Sample& sample) const {
  const SegmentConfig& segment = config_.sample[i];
  if (encoders_[i] >= 0) return add_piece(i, record, seed, sample);
  if (config_.format == "tokens") return add_ids(segment, record, sample);
  if (chat_) return add_chat(segment, record, sample);
  add_text(segment, record, sample);
  if (i == last_text_) append_tokens(around_.after, around_.after, segment.learn, sample);
}

void SampleBuilder::add_chat(const SegmentConfig& segment, const Record& record,
                             Sample& sample) const {
  const auto* conversation = std::get_if<std::string>(record.find(kConversation));
  require<Error>(conversation != nullptr, "data: a row without its conversation");
  ChatTokens tokens = chat_->encode(Json::parse(*conversation));
  const auto most = static_cast<size_t>(context_.recipe->train.pack_tokens);
  const size_t others = sample.ids.size() + (labels_.empty() ? 0 : 1);  // with the readout token
  if (chat_config_->truncate && others < most && tokens.ids.size() > most - others) {
    tokens.ids.resize(most - others);
    tokens.labels.resize(most - others);
  }
  append_tokens(tokens.ids, tokens.labels, segment.learn, sample);
}

void SampleBuilder::add_text(const SegmentConfig& segment, const Record& record,
                             Sample& sample) const {
  const std::string field = segment.field.empty() ? "text" : segment.field;
  const Value* value = record.find(field);
  if (value == nullptr || std::holds_alternative<std::monostate>(*value)) return;
  const auto* text = std::get_if<std::string>(value);
  std::string number;
  if (text == nullptr) {
    number = to_category(*value);
    require<ConfigError>(!number.empty(), "{}: is no text; name a field of strings", field);
    text = &number;
  }
  std::vector<int64_t> ids;
  try {
    ids = context_.tokenizer->encode(*text);
  } catch (const ConfigError& error) {
    throw ConfigError(field + ": " + error.what());
  }
  append_tokens(ids, ids, segment.learn, sample);
}

void SampleBuilder::add_ids(const SegmentConfig& segment, const Record& record,
                            Sample& sample) const {
  const auto* ids = integers(record, segment.field);
  if (ids == nullptr) return;
  const auto* labels = integers(record, kLabels);
  if (labels == nullptr) labels = ids;  // a line without labels: all of it is learned
  require<ConfigError>(labels->size() == ids->size(),
                       "{}: has {} labels for {} ids; give one for each", kLabels, labels->size(),
                       ids->size());
  for (const auto* list : {ids, labels})
    for (const int64_t id : *list)
      require<ConfigError>((id >= 0 && id < context_.vocab) || (list == labels && id == kIgnore),
                           "{}: id {} is outside of the {} ids of model.base.vocab_size",
                           list == ids ? segment.field : std::string(kLabels), id, context_.vocab);
  append_tokens(*ids, *labels, segment.learn, sample);
}

void SampleBuilder::add_piece(size_t segment, const Record& record, uint64_t seed,
                              Sample& sample) const {
  const int32_t encoder = encoders_[segment];
  const auto& preprocessor = *context_.preprocessors[static_cast<size_t>(encoder)];
  auto input = std::make_shared<PartInput>(preprocessor.prepare(
      record, config_.sample[segment], seed == 0 ? 0 : seed + 2 * static_cast<uint64_t>(segment)));
  auto own = preprocessor.boundary_ids();
  if (context_.vocab == 0) own.reset();  // the recipe has no text, and so no embeddings of its ids
  const auto [begin, end] = own.value_or(
      std::pair(begin_token(context_.vocab, encoder), end_token(context_.vocab, encoder)));
  require<ConfigError>(!own || std::max(begin, end) < context_.vocab,
                       "model.encoders.{}: its tokens {} and {} are outside of the {} ids of text",
                       config_.sample[segment].part, begin, end, context_.vocab);
  sample.ids.push_back(begin);
  sample.pieces.push_back({encoder, static_cast<int32_t>(sample.ids.size()), input});
  sample.ids.resize(sample.ids.size() + static_cast<size_t>(input->token_count), kPlaceholder);
  sample.ids.push_back(end);
  sample.labels.resize(sample.ids.size(), kIgnore);
}

void SampleBuilder::add_targets(const Record& record, Sample& sample) const {
  if (labels_.empty()) return;
  const auto position = static_cast<int32_t>(sample.ids.size());
  sample.ids.push_back(readout_token(context_.vocab));
  sample.labels.push_back(kIgnore);
  const Value* group = config_.group.empty() ? nullptr : record.find(config_.group);
  for (const Label& label : labels_) {
    const Value* cell = record.find(label.config->field);
    double value = 0;
    if (is_missing(cell)) continue;
    label_value(label, *cell, value);
    sample.targets.push_back({label.head, position, value, sample.weight,
                              group != nullptr ? to_category(*group) : std::string()});
  }
}

void SampleBuilder::label_value(const Label& label, const Value& cell, double& value) const {
  const std::string& field = label.config->field;
  std::string scratch;
  const auto is_text = [&](const std::string& text) { return to_category(cell, scratch) == text; };
  if (!label.positive.empty()) {
    value = std::any_of(label.positive.begin(), label.positive.end(), is_text) ? 1 : 0;
  } else if (!label.classes.empty()) {
    const auto found = std::find_if(label.classes.begin(), label.classes.end(), is_text);
    require<ConfigError>(
        found != label.classes.end(),
        "{}: '{}' is none of the classes of the target '{}'; add it to its \"classes\"", field,
        shown(to_category(cell, scratch)), label.config->head);
    value = static_cast<double>(found - label.classes.begin());
  } else {
    require<ConfigError>(
        to_number(cell, value),
        "{}: '{}' is not a number; name the target's \"positive\" value or its \"classes\"", field,
        shown(to_category(cell, scratch)));
  }
  if (!label.spec->label_error) return;
  const auto problem = label.spec->label_error(*label.part, value);
  require<ConfigError>(!problem.has_value(), "{}: {}", field, problem.value_or(""));
}

double SampleBuilder::sample_weight(const Record& record) const {
  if (config_.sample_weight.empty()) return 1;
  const Value* cell = record.find(config_.sample_weight);
  double weight = 0;
  require<ConfigError>(!is_missing(cell) && to_number(*cell, weight) && weight >= 0,
                       "{}: the sample's weight must be a number, 0 or more",
                       config_.sample_weight);
  return weight;
}

void SampleBuilder::check(const Sample& sample) const {
  const auto length = static_cast<int64_t>(sample.ids.size());
  const auto around = static_cast<int64_t>(around_.before.size() + around_.after.size());
  require<ConfigError>(length > around,
                       "the sample has no tokens; give it text, or remove it from data.sources.{}",
                       config_.name);
  const int64_t most = context_.recipe->train.pack_tokens;
  require<ConfigError>(length <= most,
                       "record {} of data.sources.{} has {} tokens, but train.pack_tokens is {}; "
                       "raise it, or {}",
                       sample.index, config_.name, length, most,
                       chat_ ? "give the source \"truncate\": true" : "shorten the sample");
}

}  // namespace veomni
