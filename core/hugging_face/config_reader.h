#pragma once
// Reads keys of a config.json and notes which were asked for.

#include <filesystem>
#include <initializer_list>
#include <set>
#include <string>

#include "core/data/text.h"
#include "core/error.h"
#include "core/hugging_face/architectures.h"
#include "core/json.h"

namespace veomni {

/// Say how a checkpoint is used or was made, not what the model computes in training.
inline const std::set<std::string> kWithoutEffect = {"_name_or_path",
                                                     "architectures",
                                                     "auto_map",
                                                     "bos_token_id",
                                                     "eos_token_id",
                                                     "pad_token_id",
                                                     "dtype",
                                                     "torch_dtype",
                                                     "transformers_version",
                                                     "use_cache",
                                                     "max_position_embeddings",
                                                     "pretraining_tp",
                                                     "max_window_layers",
                                                     "output_router_logits",
                                                     "model_type",
                                                     "initializer_range",
                                                     "return_dict",
                                                     "output_hidden_states",
                                                     "output_attentions",
                                                     "id2label",
                                                     "label2id",
                                                     "problem_type",
                                                     "is_encoder_decoder",
                                                     "chunk_size_feed_forward",
                                                     "bad_words_ids",
                                                     "task_specific_params",
                                                     "unk_token_id",
                                                     "tokenizer_class",
                                                     "num_nextn_predict_layers"};

class ConfigReader {
 public:
  explicit ConfigReader(const std::filesystem::path& file)
      : name_(file.string()),
        json_(parse_located_json(read_text_file(name_, kJsonBytes), name_).value) {
    require<ConfigError>(json_.is_object(), "{}: is no JSON object", name_);
  }

  /// An object inside of another: errors say `FILE: OBJECT.KEY: …`.
  ConfigReader(const ConfigReader& whole, const std::string& object)
      : name_(whole.name_),
        prefix_(whole.prefix_ + object + "."),
        json_(whole.json_.value(object, Json(nullptr))) {
    if (!json_.is_object()) whole.fail(object, "must be an object");
  }

  [[noreturn]] void fail(const std::string& key, const std::string& message) const {
    throw ConfigError(fmt::format("{}: {}{}: {}", name_, prefix_, shown(key), message));
  }

  bool has(const std::string& key) const { return json_.contains(key); }

  /// The value, null when the key is absent or null. Every key asked for counts as known.
  Json get(const std::string& key) {
    known_.insert(key);
    return json_.value(key, Json(nullptr));
  }

  int64_t size(const std::string& key, int64_t otherwise = 0) {
    const Json value = get(key);
    if (value.is_null() && otherwise > 0) return otherwise;
    if (!value.is_number_integer() || value.get<int64_t>() < 1)
      fail(key, "must be a positive integer");
    return value.get<int64_t>();
  }

  /// The same under the first of these names that is there.
  int64_t size_of(std::initializer_list<const char*> keys, int64_t otherwise = 0) {
    const char* found = nullptr;
    for (const char* key : keys)
      if (!get(key).is_null() && found == nullptr) found = key;
    return size(found != nullptr ? found : *keys.begin(), otherwise);
  }

  double number(const std::string& key, double otherwise) {
    const Json value = get(key);
    if (value.is_null()) return otherwise;
    if (!value.is_number()) fail(key, "must be a number");
    return value.get<double>();
  }

  bool flag(const std::string& key, bool otherwise) {
    const Json value = get(key);
    if (value.is_null()) return otherwise;
    if (!value.is_boolean()) fail(key, "must be true or false");
    return value.get<bool>();
  }

  std::string text(const std::string& key, const std::string& otherwise) {
    const Json value = get(key);
    if (value.is_null()) return otherwise;
    if (!value.is_string()) fail(key, "must be a string");
    return value.get<std::string>();
  }

  /// They stand for something else, or for nothing, whatever they hold.
  void ignore(std::initializer_list<const char*> keys) {
    for (const char* key : keys) get(key);
  }

  /// Anything but `only` (or absent) is refused.
  void expect(const std::string& key, const Json& only) {
    const Json value = get(key);
    if (!value.is_null() && value != only)
      fail(key,
           fmt::format("{} is not supported; only {} is", json_excerpt(value), json_excerpt(only)));
  }

  void refuse_unknown() const {
    for (const auto& [key, value] : json_.items())
      if (!known_.contains(key) && !kWithoutEffect.contains(key))
        fail(key, "unknown key; it may change what the model computes, so it is not ignored");
  }

 private:
  std::string name_, prefix_;
  Json json_;
  std::set<std::string> known_;
};

/// rope_theta, rope_scaling and, in families that have it, rotary_pct of `base` (config_rope.cpp).
void read_rope(ConfigReader& reader, const Architecture& architecture, Json& base);
/// sliding_window and layer_types of `base`, which has num_hidden_layers (config_windows.cpp).
void read_windows(ConfigReader& reader, const Architecture& architecture, Json& base);
void write_windows(const Json& base, const Architecture& architecture, Json& config);

/// The keys of config.json that they become.
void write_rope(const Json& base, Json& config);

}  // namespace veomni
