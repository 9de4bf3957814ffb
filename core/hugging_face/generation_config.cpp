#include "core/hugging_face/generation_config.h"

#include <cmath>
#include <map>
#include <set>

#include "core/data/text.h"
#include "core/error.h"
#include "core/json.h"

namespace veomni {
namespace {

/// Say how transformers computes or returns a text, not which one it is.
const std::set<std::string> kWithoutEffect = {"_from_model_config",
                                              "transformers_version",
                                              "transformers.js_config",
                                              "bos_token_id",
                                              "pad_token_id",
                                              "decoder_start_token_id",
                                              "use_cache",
                                              "cache_implementation",
                                              "cache_config",
                                              "return_legacy_cache",
                                              "prefill_chunk_size",
                                              "output_attentions",
                                              "output_hidden_states",
                                              "output_scores",
                                              "output_logits",
                                              "output_router_logits",
                                              "return_dict_in_generate",
                                              "disable_compile",
                                              "compile_config",
                                              "low_memory",
                                              "is_assistant",
                                              "num_assistant_tokens",
                                              "num_assistant_tokens_schedule",
                                              "assistant_confidence_threshold",
                                              "assistant_early_exit",
                                              "assistant_lookbehind",
                                              "target_lookbehind",
                                              "prompt_lookup_num_tokens",
                                              "max_matching_ngram_size",
                                              "length_penalty",
                                              "early_stopping",
                                              "diversity_penalty",
                                              "num_beam_groups",
                                              "remove_invalid_values",
                                              "renormalize_logits",
                                              "trust_remote_code",
                                              "chat_format",
                                              "max_window_size",
                                              "use_mtp",
                                              "continuous_batching_config"};

/// Change the text unless they have this value.
const std::map<std::string, Json> kNeutral = {{"num_beams", 1},
                                              {"num_return_sequences", 1},
                                              {"no_repeat_ngram_size", 0},
                                              {"encoder_no_repeat_ngram_size", 0},
                                              {"encoder_repetition_penalty", 1},
                                              {"typical_p", 1},
                                              {"epsilon_cutoff", 0},
                                              {"eta_cutoff", 0},
                                              {"min_length", 0},
                                              {"min_new_tokens", 0},
                                              {"guidance_scale", 1},
                                              {"penalty_alpha", 0},
                                              {"token_healing", false}};

class Reader {
 public:
  Reader(const std::filesystem::path& file, Json json)
      : name_(file.string()), json_(std::move(json)) {
    require<ConfigError>(json_.is_object(), "{}: is no JSON object", name_);
  }

  [[noreturn]] void fail(const std::string& key, const std::string& message) const {
    throw ConfigError(fmt::format("{}: {}: {}", name_, shown(key), message));
  }

  /// Null where the key is absent. Every key asked for counts as known.
  Json get(const std::string& key) {
    known_.insert(key);
    return json_.value(key, Json(nullptr));
  }

  void number(const std::string& key, double least, double most, double& value) {
    const Json given = get(key);
    if (given.is_null()) return;
    if (!given.is_number() || !(given.get<double>() >= least && given.get<double>() <= most))
      fail(key,
           fmt::format("is {}, must be a number from {} to {}", json_excerpt(given), least, most));
    value = given.get<double>();
  }

  std::optional<int64_t> count(const std::string& key, int64_t least) {
    const Json given = get(key);
    if (given.is_null()) return {};
    if (!given.is_number_integer() || given.get<int64_t>() < least)
      fail(key,
           fmt::format("is {}, must be an integer of at least {}", json_excerpt(given), least));
    return given.get<int64_t>();
  }

  /// One value or a list of them.
  template <class Value>
  std::vector<Value> list(const std::string& key, bool (*fits)(const Json&), const char* what) {
    const Json given = get(key);
    std::vector<Value> values;
    for (const Json& item : given.is_array() ? given : Json::array({given})) {
      if (given.is_null()) break;
      if (!fits(item)) fail(key, fmt::format("{} is no {}", json_excerpt(item), what));
      values.push_back(item.get<Value>());
    }
    return values;
  }

  void refuse_the_rest() const {
    for (const auto& [key, value] : json_.items()) {
      if (known_.contains(key) || kWithoutEffect.contains(key) || value.is_null()) continue;
      const auto neutral = kNeutral.find(key);
      if (neutral != kNeutral.end() && value == neutral->second) continue;
      fail(key, fmt::format("{} is not supported and may change the text; remove it, or leave the "
                            "file aside with --ignore-generation-config",
                            json_excerpt(value)));
    }
  }

 private:
  std::string name_;
  Json json_;
  std::set<std::string> known_;
};

std::vector<int64_t> stop_ids(Reader& reader) {
  return reader.list<int64_t>(
      "eos_token_id",
      [](const Json& id) { return id.is_number_integer() && id.get<int64_t>() >= 0; }, "token id");
}

Json read_json(const std::filesystem::path& file) {
  return parse_located_json(read_text_file(file.string(), kJsonBytes), file.string()).value;
}

void read_config(const std::filesystem::path& file, GenerationSettings& settings) {
  const Json json = read_json(file);
  Reader all(file, json);
  const Json inner = all.get("text_config");
  Reader text(file, inner.is_object() ? inner : json);
  for (const char* key : {"n_positions", "max_position_embeddings"})
    if (const auto positions = text.count(key, 1)) settings.context = *positions;
  settings.stop_ids = stop_ids(all);
  if (settings.stop_ids.empty()) settings.stop_ids = stop_ids(text);
}

void read_file(const std::filesystem::path& file, GenerationDefaults& defaults) {
  constexpr double kMost = 1e9;
  Reader reader(file, read_json(file));
  GenerationSettings& settings = defaults.settings;
  const Json sample = reader.get("do_sample");
  if (!sample.is_null() && !sample.is_boolean()) reader.fail("do_sample", "must be true or false");
  double temperature = 1, top_k = 0;
  reader.number("temperature", 0, kMost, temperature);
  reader.number("top_k", 0, kMost, top_k);
  reader.number("top_p", 0, 1, settings.top_p);
  reader.number("min_p", 0, 1, settings.min_p);
  reader.number("repetition_penalty", 1e-9, kMost, settings.repetition_penalty);
  settings.top_k = std::llround(top_k);
  if (sample == true) settings.temperature = temperature;
  if (const auto count = reader.count("max_new_tokens", 1)) settings.max_new_tokens = *count;
  if (!reader.get("max_length").is_null() && reader.get("max_new_tokens").is_null())
    defaults.max_length = reader.count("max_length", 1);
  if (auto ids = stop_ids(reader); !ids.empty()) settings.stop_ids = std::move(ids);
  settings.stop_texts = reader.list<std::string>(
      "stop_strings", [](const Json& text) { return text.is_string(); }, "text");
  reader.refuse_the_rest();
  defaults.from_file = true;
}

}  // namespace

GenerationDefaults read_generation_defaults(const std::filesystem::path& directory,
                                            bool ignore_file) {
  GenerationDefaults defaults;
  defaults.settings.temperature = 0;
  read_config(directory / "config.json", defaults.settings);
  const auto file = directory / "generation_config.json";
  if (!ignore_file && std::filesystem::exists(file)) read_file(file, defaults);
  return defaults;
}

}  // namespace veomni
