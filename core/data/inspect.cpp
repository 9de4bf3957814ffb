#include "core/data/inspect.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "core/error.h"
#include "core/recipe/chat_config.h"

namespace veomni {
namespace {

constexpr int64_t kLengthsMeasured = 2000;  ///< samples of a source that the histogram looks at
constexpr int64_t kPacksMeasured = 32;
constexpr size_t kValuesShown = 8, kTextShown = 200;

std::string quoted(const std::string& text) {
  std::string shown = text.substr(0, kTextShown);
  while (!shown.empty() && shown.size() < text.size() && (text[shown.size()] & 0xC0) == 0x80)
    shown.pop_back();  // never inside a UTF-8 character
  if (shown.size() < text.size()) shown += "…";
  return Json(shown).dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json array_json(const HostArray& array) {
  Json values = Json::array();
  std::visit(
      [&](const auto& data) {
        for (size_t i = 0; i < std::min(data.size(), kValuesShown); ++i) values.push_back(data[i]);
      },
      array.data);
  return {{"shape", array.shape}, {"first", values}};
}

Json sample_json(const Sample& sample, const Recipe& recipe, const Dataset& dataset) {
  Json inputs = Json::array(), targets = Json::array();
  for (const auto& piece : sample.pieces) {
    Json arrays = Json::array();
    for (const auto& array : piece.input->arrays) arrays.push_back(array_json(array));
    inputs.push_back({{"encoder", recipe.encoders[static_cast<size_t>(piece.encoder)].name},
                      {"position", piece.position},
                      {"tokens", piece.input->token_count},
                      {"arrays", arrays}});
  }
  for (const auto& target : sample.targets) {
    targets.push_back({{"head", recipe.heads[static_cast<size_t>(target.head)].name},
                       {"value", target.value},
                       {"weight", target.weight}});
    if (!target.group.empty()) targets.back()["group"] = target.group;
  }
  const auto learned = std::count_if(sample.labels.begin(), sample.labels.end(),
                                     [](int64_t label) { return label != kIgnore; });
  return {{"index", sample.index},
          {"tokens", sample.ids.size()},
          {"learned", learned},
          {"weight", sample.weight},
          {"text", render_tokens(sample, recipe, dataset)},
          {"inputs", inputs},
          {"targets", targets}};
}

/// Of conversations: the runs of learned tokens as texts.
Json learned_text(const Sample& sample, const Dataset& dataset) {
  Json texts = Json::array();
  std::vector<int64_t> run;
  for (size_t i = 0; i <= sample.labels.size(); ++i) {
    if (i < sample.labels.size() && sample.labels[i] != kIgnore) {
      run.push_back(sample.labels[i]);
    } else if (!run.empty()) {
      texts.push_back(dataset.tokenizer()->decode(run));
      run.clear();
    }
  }
  return texts;
}

// Powers of two: [1, 1], [2, 3], [4, 7], …
Json histogram(const std::vector<int64_t>& lengths) {
  Json bars = Json::array();
  for (int64_t low = 1; low <= *std::max_element(lengths.begin(), lengths.end()); low *= 2) {
    const auto count = std::count_if(lengths.begin(), lengths.end(),
                                     [&](int64_t n) { return n >= low && n < 2 * low; });
    if (count > 0) bars.push_back({{"from", low}, {"to", 2 * low - 1}, {"samples", count}});
  }
  return bars;
}

Json lengths_json(const Dataset& dataset, int32_t source) {
  const int64_t size = dataset.source_size(source, false);
  const int64_t step = std::max<int64_t>(1, size / kLengthsMeasured);
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < size; i += step)
    lengths.push_back(
        static_cast<int64_t>(dataset.train_samples(source, i, i + 1).front().ids.size()));
  if (lengths.empty()) return nullptr;
  const double sum = std::accumulate(lengths.begin(), lengths.end(), 0.0);
  return {{"measured", lengths.size()},
          {"least", *std::min_element(lengths.begin(), lengths.end())},
          {"mean", sum / static_cast<double>(lengths.size())},
          {"most", *std::max_element(lengths.begin(), lengths.end())},
          {"histogram", histogram(lengths)}};
}

Json source_json(const Recipe& recipe, const Dataset& dataset, int32_t number, int64_t samples) {
  const SourceConfig& config = recipe.sources[static_cast<size_t>(number)];
  const int64_t size = dataset.source_size(number, false);
  Json shown = Json::array();
  for (const auto& sample : dataset.train_samples(number, 0, std::min(samples, size))) {
    shown.push_back(sample_json(sample, recipe, dataset));
    if (is_chat_format(config.format)) shown.back()["learned_text"] = learned_text(sample, dataset);
  }
  return {{"name", config.name},
          {"format", config.format},
          {"weight", config.weight},
          {"train_samples", size},
          {"eval_samples", dataset.source_size(number, true)},
          {"samples", shown},
          {"lengths", lengths_json(dataset, number)}};
}

// Fills the first packs of some lanes as training would.
Json packs_json(const Recipe& recipe, Dataset& dataset) {
  std::vector<int64_t> lanes(static_cast<size_t>(std::min<int64_t>(recipe.train.packs, 8)));
  std::iota(lanes.begin(), lanes.end(), int64_t{0});
  dataset.start(lanes, nullptr);
  int64_t packs = 0, tokens = 0, samples = 0;
  const int64_t each = std::max<int64_t>(1, kPacksMeasured / static_cast<int64_t>(lanes.size()));
  for (int64_t i = 0; i < each; ++i)
    for (const int64_t lane : lanes) {
      const Pack pack = dataset.next(lane);
      if (pack.token_count() == 0 || dataset.finished(lane))
        continue;  // a lane's last pack is a rest
      ++packs;
      tokens += pack.token_count();
      samples += static_cast<int64_t>(pack.origins.size());
    }
  const auto share = [](int64_t a, int64_t b) {
    return b == 0 ? 0.0 : static_cast<double>(a) / static_cast<double>(b);
  };
  return {{"measured", packs},
          {"pack_tokens", recipe.train.pack_tokens},
          {"samples_a_pack", share(samples, packs)},
          {"efficiency", share(tokens, packs * recipe.train.pack_tokens)}};
}

void print_source(const Json& source) {
  fmt::print("{} ({}): {} training samples, {} for evaluation, weight {}\n",
             source["name"].get<std::string>(), source["format"].get<std::string>(),
             source["train_samples"].get<int64_t>(), source["eval_samples"].get<int64_t>(),
             source["weight"].get<double>());
  for (const auto& sample : source["samples"]) {
    fmt::print("  sample {}: {} tokens, {} learned\n    {}\n", sample["index"].get<int64_t>(),
               sample["tokens"].get<int64_t>(), sample["learned"].get<int64_t>(),
               sample["text"].get<std::string>());
    for (const auto& text : sample.value("learned_text", Json::array()))
      fmt::print("    learned: {}\n", quoted(text.get<std::string>()));
    for (const auto& input : sample["inputs"]) {
      fmt::print("    {}:", input["encoder"].get<std::string>());
      for (const auto& array : input["arrays"])
        fmt::print(" {} {}", array["shape"].dump(), array["first"].dump());
      fmt::print("\n");
    }
    for (const auto& target : sample["targets"])
      fmt::print("    target {} = {}\n", target["head"].get<std::string>(),
                 target["value"].get<double>());
  }
  const Json& lengths = source["lengths"];
  if (lengths.is_null()) return;
  fmt::print("  tokens in a sample: {} to {}, mean {:.1f} (of {} samples)\n",
             lengths["least"].get<int64_t>(), lengths["most"].get<int64_t>(),
             lengths["mean"].get<double>(), lengths["measured"].get<int64_t>());
  for (const auto& bar : lengths["histogram"]) {
    const auto count = bar["samples"].get<int64_t>(), all = lengths["measured"].get<int64_t>();
    fmt::print("  {:>7} to {:<7} {:>6} {}\n", bar["from"].get<int64_t>(), bar["to"].get<int64_t>(),
               count, std::string(static_cast<size_t>((50 * count + all - 1) / all), '#'));
  }
}

}  // namespace

std::string render_tokens(const Sample& sample, const Recipe& recipe, const Dataset& dataset) {
  const int64_t vocab = dataset.vocab_size();
  std::string line;
  for (size_t i = 0; i < sample.ids.size();) {
    const int64_t id = sample.ids[i];
    size_t end = i + 1;
    if (!line.empty()) line += ' ';
    if (id == kPlaceholder) {
      while (end < sample.ids.size() && sample.ids[end] == kPlaceholder) ++end;
      line += fmt::format("[{} tokens]", end - i);
    } else if (id == readout_token(vocab)) {
      line += "<readout>";
    } else if (id > vocab) {
      const auto place = static_cast<size_t>(id - vocab - 1);
      line += (place % 2 == 0 ? "<" : "</") + recipe.encoders[place / 2].name + ">";
    } else {
      while (end < sample.ids.size() && sample.ids[end] >= 0 && sample.ids[end] < vocab) ++end;
      const std::vector<int64_t> ids(sample.ids.begin() + static_cast<int64_t>(i),
                                     sample.ids.begin() + static_cast<int64_t>(end));
      line += quoted(dataset.tokenizer()->decode(ids));
    }
    i = end;
  }
  return line;
}

Json describe_data(const Recipe& recipe, int64_t samples, const SpecRegistry& registry) {
  const auto dataset = open_dataset(recipe, nullptr, registry);
  Json sources = Json::array();
  for (size_t i = 0; i < recipe.sources.size(); ++i)
    sources.push_back(source_json(recipe, *dataset, static_cast<int32_t>(i), samples));
  return {{"vocab_size", dataset->vocab_size()},
          {"special_tokens", special_token_count(recipe.encoders.size())},
          {"sources", sources},
          {"packs", packs_json(recipe, *dataset)}};
}

int inspect_data(const Recipe& recipe, const Json& options, const SpecRegistry& registry) {
  const Json described = describe_data(recipe, options.value("samples", int64_t{3}), registry);
  if (options.value("json", false)) {
    fmt::print("{}\n", described.dump(2, ' ', false, Json::error_handler_t::replace));
    return 0;
  }
  fmt::print("vocabulary: {} text ids, {} special tokens\n", described["vocab_size"].get<int64_t>(),
             described["special_tokens"].get<int64_t>());
  for (const auto& source : described["sources"]) print_source(source);
  const Json& packs = described["packs"];
  fmt::print("packs of {} tokens: {:.1f} samples each, {:.2f} % full ({} measured)\n",
             packs["pack_tokens"].get<int64_t>(), packs["samples_a_pack"].get<double>(),
             100 * packs["efficiency"].get<double>(), packs["measured"].get<int64_t>());
  return 0;
}

}  // namespace veomni
