#include <fmt/ranges.h>

#include <cstdio>
#include <map>

#include "cmd/engine/generation_model.h"
#include "cmd/engine/request.h"
#include "cmd/engine/session.h"
#include "core/error.h"
#include "core/template/chat_template.h"
#include "core/train/generate.h"

namespace veomni {
namespace {

std::vector<Prompt> prompts_of(const Json& options) {
  std::vector<Prompt> prompts;
  if (options.contains("messages"))
    prompts = read_conversations(options.at("messages").get<std::string>());
  if (options.contains("prompts")) prompts = read_prompts(options.at("prompts").get<std::string>());
  for (const Json& text : options.at("prompt"))
    prompts.push_back({.text = text.get<std::string>(), .where = "--prompt"});
  for (const Json& ids : options.at("tokens"))
    prompts.push_back({.ids = parse_ids(ids.get<std::string>(), "--tokens"),
                       .is_text = false,
                       .where = "--tokens"});
  return prompts;
}

/// The command line before the model's own defaults.
GenerationSettings settings_of(const Json& options, const GenerationModel& model) {
  GenerationSettings settings = model.defaults.settings;
  const auto take = [&](const char* name, auto& value) {
    const auto found = options.find(name);
    if (found == options.end()) return false;
    found->get_to(value);
    return true;
  };
  take("max-new-tokens", settings.max_new_tokens);
  bool samples = take("top-k", settings.top_k);
  samples = take("top-p", settings.top_p) || samples;
  samples = take("min-p", settings.min_p) || samples;
  // Who says how to draw wants tokens drawn, also from a model that is greedy by itself.
  if (samples && settings.temperature == 0) settings.temperature = 1;
  take("temperature", settings.temperature);
  take("repetition-penalty", settings.repetition_penalty);
  take("seed", settings.seed);
  take("batch-size", settings.batch_size);
  if (options.value("ignore-eos", false)) settings.stop_ids.clear();
  for (const Json& text : options.at("stop-token-ids"))
    for (const int64_t id : parse_ids(text.get<std::string>(), "--stop-token-ids"))
      settings.stop_ids.push_back(id);
  for (const Json& text : options.at("stop"))
    settings.stop_texts.push_back(text.get<std::string>());
  return settings;
}

/// An answer ends with its turn, also where no generation_config.json says so.
void end_turns(const GenerationModel& model, const Json& options, GenerationSettings& settings) {
  if (!settings.stop_ids.empty() || options.value("ignore-eos", false)) return;
  const Json tokens = read_special_tokens(model.tokenizer_path);
  if (!tokens.contains("eos_token")) return;
  const auto ids = model.tokenizer->encode(tokens["eos_token"].get<std::string>());
  if (ids.size() == 1) settings.stop_ids = ids;
}

void check_settings(const GenerationSettings& settings, const GenerationModel& model,
                    const std::string& target) {
  require<ConfigError>(settings.stop_texts.empty() || model.tokenizer != nullptr,
                       "--stop: {} has no tokenizer, so there is no text to look for it in; use "
                       "--stop-token-ids",
                       target);
  for (const int64_t id : settings.stop_ids)
    require<ConfigError>(id >= 0 && id < model.vocab_size,
                         "--stop-token-ids: token {} does not exist; the model has the ids 0 to {}",
                         id, model.vocab_size - 1);
}

/// max_length of generation_config.json counts the prompt, so it must leave room for every prompt.
void apply_max_length(const std::vector<Prompt>& prompts, const GenerationModel& model,
                      const Json& options, GenerationSettings& settings) {
  if (!model.defaults.max_length || options.contains("max-new-tokens")) return;
  for (const auto& prompt : prompts) {
    const int64_t left = *model.defaults.max_length - static_cast<int64_t>(prompt.ids.size());
    require<ConfigError>(left > 0,
                         "{}: has {} tokens, but max_length in generation_config.json is {}; give "
                         "--max-new-tokens",
                         prompt.where, prompt.ids.size(), *model.defaults.max_length);
  }
  settings.max_length = *model.defaults.max_length;
}

std::string joined(const std::vector<int64_t>& ids) {
  return fmt::format("{}", fmt::join(ids, ","));
}

/// Prints results in the order of the prompts, a single text while it is written. Rank 0 only.
class Printer {
 public:
  Printer(const std::vector<Prompt>& prompts, bool json, bool text)
      : prompts_(prompts), json_(json), text_(text), streams_(!json && prompts.size() == 1) {}

  void token(int64_t id, const std::string& piece) {
    if (!streams_) return;
    if (!text_) {
      fmt::print("{}{}", begun_ ? "," : "", id);
    } else {
      fmt::print("{}{}", begun_ ? "" : shown(prompts_[0]), piece);
    }
    begun_ = true;
    std::fflush(stdout);
  }

  void done(size_t prompt, const Generated& made) {
    waiting_[prompt] = made;
    for (auto next = waiting_.find(next_); next != waiting_.end(); next = waiting_.find(++next_)) {
      print(prompts_[next_], next->second);
      waiting_.erase(next);
    }
    std::fflush(stdout);
  }

 private:
  /// A text goes on after its prompt; an answer stands alone.
  static std::string shown(const Prompt& prompt) {
    return prompt.messages.is_null() ? prompt.text : "";
  }

  void print(const Prompt& prompt, const Generated& made) const {
    if (json_) {
      Json line = {{"index", next_}};
      if (prompt.is_text) line["prompt"] = prompt.text;
      line["prompt_ids"] = prompt.ids;
      line["ids"] = made.ids;
      if (text_) line["text"] = made.text;
      line["finish_reason"] = made.stopped ? "stop" : "length";
      fmt::print("{}\n", line.dump());
    } else if (streams_) {
      fmt::print("\n");
    } else if (text_) {
      fmt::print("{}{}{}\n", next_ > 0 ? "\n" : "", shown(prompt), made.text);
    } else {
      fmt::print("{}\n", joined(made.ids));
    }
  }

  const std::vector<Prompt>& prompts_;
  bool json_, text_, streams_, begun_ = false;
  size_t next_ = 0;
  std::map<size_t, Generated> waiting_;
};

}  // namespace

int run_generate(const Request& request, MpiSession& mpi) {
  Session session(mpi);
  std::vector<Prompt> prompts;
  session.together([&] { prompts = prompts_of(request.options); });
  const GenerationModel model = load_generation_model(session, request);
  GenerationSettings settings;
  session.together([&] {
    settings = settings_of(request.options, model);
    render_messages(prompts, model.tokenizer_path, request.target);
    if (request.options.contains("messages")) end_turns(model, request.options, settings);
    check_settings(settings, model, request.target);
    const bool bounded = settings.context > 0 && !settings.rolls;
    encode_prompts(prompts, {.tokenizer = model.tokenizer.get(),
                             .model = request.target,
                             .special_tokens = model.special_tokens,
                             .vocab_size = model.vocab_size,
                             .most_tokens = bounded ? settings.context - 1 : 0});
    apply_max_length(prompts, model, request.options, settings);
  });
  std::vector<std::vector<int64_t>> ids;
  for (const auto& prompt : prompts) ids.push_back(prompt.ids);
  Printer printer(prompts, request.options.value("json", false), model.tokenizer != nullptr);
  GenerationEvents events;
  if (session.rank() == 0) {
    events.token = [&](size_t, int64_t id, const std::string& piece) { printer.token(id, piece); };
    events.done = [&](size_t prompt, const Generated& made) { printer.done(prompt, made); };
  }
  session.together([&] {
    generate({session.model(), model.tokenizer.get(), session.world(), settings}, ids, events);
  });
  session.clear();
  return 0;
}

}  // namespace veomni
