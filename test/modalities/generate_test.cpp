// Generation with the cache: transformers' greedy ids, equal to generation without it, alone, in batches and on ranks.
#include "core/train/generate.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "core/checkpoint/safetensors.h"
#include "core/data/text.h"
#include "core/error.h"
#include "core/recipe/directory_recipe.h"
#include "core/tokenizer/file_tokenizer.h"
#include "modalities/import.h"
#include "modalities/model.h"
#include "parallel/comm/thread.h"
#include "parallel/mesh.h"
#include "support/paths.h"
#include "support/tiny_run.h"

using namespace veomni;
using namespace veomni::test;

namespace {

namespace fs = std::filesystem;
using Ids = std::vector<int64_t>;

fs::path shared() { return fs::path(source_dir()) / ".." / "shared"; }

/// The model of a directory on one rank of `world`.
struct Loaded {
  Recipe recipe;
  Mesh mesh;
  ParallelContext context;
  std::unique_ptr<Model> model;
  Communicator& world;

  Loaded(const fs::path& directory, Communicator& its_world)
      : recipe(recipe_of_directory(directory, {})),
        mesh(its_world, MeshShape{1, its_world.size()}),
        world(its_world) {
    mesh.fill(context);
    model = build_model(recipe, recipe.base.vocab_size, context);
    import_weights(model->shards(), recipe);
  }

  std::vector<Generated> write(const std::vector<Ids>& prompts, GenerationSettings settings,
                               const Tokenizer* tokenizer = nullptr) {
    return generate({*model, tokenizer, world, std::move(settings)}, prompts);
  }
};

Batch whole(const Ids& ids) {
  Batch batch;
  batch.ids = at::tensor(ids, at::kLong);
  batch.positions = at::arange(batch.ids.size(0));
  batch.cu_seqlens =
      at::tensor(std::vector<int32_t>{0, static_cast<int32_t>(ids.size())}, at::kInt);
  batch.noise_keys = at::zeros_like(batch.ids);
  return batch;
}

/// Greedy, every token from the whole text; beyond `context` tokens the older half is forgotten.
Ids without_cache(Model& model, Ids text, int64_t count, size_t context = 0) {
  Ids made;
  size_t first = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (context > 0 && text.size() - first > context) first = text.size() - context / 2;
    const Ids seen(text.begin() + static_cast<int64_t>(first), text.end());
    made.push_back(model.next_token_logits(whole(seen)).argmax().item<int64_t>());
    text.push_back(made.back());
  }
  return made;
}

std::vector<Ids> ids_of(const std::vector<Generated>& all) {
  std::vector<Ids> ids;
  for (const auto& made : all) ids.push_back(made.ids);
  return ids;
}

struct Case {
  fs::path directory;
  std::vector<Ids> prompts;  // the fixture's, and some of other lengths
  Ids expected;
};

Ids row(const SafetensorsFile& file, const std::string& name, int64_t begin, int64_t count) {
  const auto* ids = static_cast<const int64_t*>(file.get(name).data) + begin;
  return {ids, ids + count};
}

/// Every text model of the fixtures whose architecture is ours.
std::vector<Case> cases() {
  std::vector<Case> found;
  const auto folder = shared() / "fixtures" / "hf";
  if (!fs::exists(folder)) return found;
  register_all_parts();
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!fs::exists(entry.path() / "reference.safetensors")) continue;
    const SafetensorsFile file(entry.path() / "reference.safetensors");
    if (file.find("gen.prompt_ids") == nullptr || file.find("pixel_values") != nullptr) continue;
    try {
      (void)recipe_of_directory(entry.path(), {});
    } catch (const ConfigError&) {
      continue;  // an architecture that is not ours
    }
    Case c{entry.path(), {}, {}};
    c.prompts = {row(file, "gen.prompt_ids", 0, file.get("gen.prompt_ids").shape.back()),
                 row(file, "input_ids", 0, 1), row(file, "input_ids", 24, 19),
                 row(file, "input_ids", 5, 3)};
    c.expected = row(file, "gen.new_ids", 0, file.get("gen.new_ids").shape.back());
    found.push_back(std::move(c));
  }
  std::sort(found.begin(), found.end(),
            [](const Case& a, const Case& b) { return a.directory < b.directory; });
  return found;
}

/// What llama2.c's doc/stories260K.md shows: 256 tokens from <s>, greedy.
constexpr const char* kPublished =
    R"(Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.
Lily's mom said, "Lily, let's go to the park." Lily was sad and didn't know what to do. She said, "I want to play with your ball, but I can't find it."
Lily was sad and didn't know what to do. She said, "I'm sorry, Lily. I didn't know what to do."
Lily didn't want to help her mom, so she said, "I'm sorry, mom. I didn't know what to do." Her mom said, "Don't worry, Lily. We can help you.)";

std::vector<std::string> tiny_stories() {
  const auto file = shared() / "data/text_tinystories_sample/tinystories_sample.txt";
  const std::string all = read_text_file(file.string(), 1 << 20), mark = "<|endoftext|>";
  std::vector<std::string> stories;
  for (size_t begin = 0; begin < all.size();) {
    const size_t end = std::min(all.find(mark, begin), all.size());
    const std::string story(trim(std::string_view(all).substr(begin, end - begin)));
    if (!story.empty()) stories.push_back(story);
    begin = end + mark.size();
  }
  return stories;
}

}  // namespace

TEST_CASE("generate: fixtures' greedy ids; batches, ranks and the cache change nothing",
          "[hugging_face][generate]") {
  const auto all = cases();
  if (all.empty()) WARN("skipped: no fixtures beside the checkout");
  for (const auto& c : all) {
    INFO(c.directory.filename().string());
    const GenerationSettings greedy{.max_new_tokens = 16, .temperature = 0};
    const GenerationSettings drawn{
        .max_new_tokens = 16, .temperature = 1.3, .top_p = 0.95, .seed = 5};
    std::vector<Ids> expected, expected_drawn;
    run_ranks(1, [&](Communicator& world) {
      Loaded ours(c.directory, world);
      for (const auto& prompt : c.prompts) {
        expected.push_back(without_cache(*ours.model, prompt, 16));
        expected_drawn.push_back(ours.write({prompt}, drawn)[0].ids);
      }
      CHECK(expected[0] == c.expected);
      CHECK(ids_of(ours.write(c.prompts, greedy)) == expected);
      CHECK(ids_of(ours.write(c.prompts, drawn)) == expected_drawn);
      auto narrow = greedy;
      narrow.batch_size = 2;  // prompts take the slots of others
      CHECK(ids_of(ours.write(c.prompts, narrow)) == expected);
    });
    for (const int ranks : {2, 4}) {
      std::vector<std::vector<Ids>> made(static_cast<size_t>(ranks)), made_drawn = made;
      run_ranks(ranks, [&](Communicator& world) {
        Loaded ours(c.directory, world);
        const auto rank = static_cast<size_t>(world.rank());
        made[rank] = ids_of(ours.write(c.prompts, greedy));
        made_drawn[rank] = ids_of(ours.write(c.prompts, drawn));
      });
      for (int r = 0; r < ranks; ++r) {
        INFO("rank " << r << " of " << ranks);
        CHECK(made[static_cast<size_t>(r)] == expected);
        CHECK(made_drawn[static_cast<size_t>(r)] == expected_drawn);
      }
    }
  }
}

TEST_CASE("generate: stop ids, lengths, and both rules at the end of the context",
          "[hugging_face][generate]") {
  const auto all = cases();
  if (all.empty()) {
    WARN("skipped: no fixtures beside the checkout");
    return;
  }
  const Case& c = all.front();
  run_ranks(1, [&](Communicator& world) {
    Loaded ours(c.directory, world);
    const Ids& prompt = c.prompts[0];
    const auto one = [&](GenerationSettings settings) {
      settings.temperature = 0;
      return ours.write({prompt}, settings)[0];
    };
    const auto stopped = one({.stop_ids = {c.expected[5], 511}});
    const auto until = std::find(c.expected.begin(), c.expected.end(), c.expected[5]) + 1;
    CHECK(stopped.ids == Ids(c.expected.begin(), until));
    CHECK(stopped.stopped);
    const auto total = one({.max_length = static_cast<int64_t>(prompt.size()) + 3});
    CHECK(total.ids.size() == 3);
    CHECK_FALSE(total.stopped);
    const auto ends = one({.context = 12});
    CHECK(ends.ids == Ids(c.expected.begin(), c.expected.begin() + 12 - 8));
    CHECK_FALSE(ends.stopped);
    // Several windows, in a batch whose rows roll at different steps; prompts longer than one too.
    const GenerationSettings rolls{
        .max_new_tokens = 40, .temperature = 0, .context = 12, .rolls = true};
    std::vector<Ids> expected;
    for (const auto& text : c.prompts) expected.push_back(without_cache(*ours.model, text, 40, 12));
    CHECK(ids_of(ours.write(c.prompts, rolls)) == expected);
  });
}

TEST_CASE("stories260k: the published text word for word, and the published losses",
          "[hugging_face][generate][stories]") {
  const auto folder = shared() / "data" / "model_stories260k";
  if (!fs::exists(folder)) {
    WARN("skipped: no ../shared/data/model_stories260k");
    return;
  }
  register_all_parts();
  const Json reference = Json::parse(std::ifstream(folder / "reference.json"));
  const FileTokenizer tokenizer((folder / "hf").string());
  run_ranks(1, [&](Communicator& world) {
    Loaded ours(folder / "hf", world);
    const auto mean_loss = [&](const Ids& ids) {
      Batch batch = whole(ids);
      const auto count = static_cast<int64_t>(ids.size()) - 1;
      batch.labels = at::full_like(batch.ids, kIgnore);
      batch.labels.narrow(0, 0, count).copy_(batch.ids.narrow(0, 1, count));
      batch.label_weights = at::ones({count + 1});
      batch.text_labels = count;
      ForwardOptions options;
      options.use.text = true;
      const at::NoGradGuard no_gradient;
      return ours.model->forward(batch, options).text_losses.sum(at::kDouble).item<double>() /
             static_cast<double>(count);
    };
    std::vector<Ids> prompts, expected;
    for (const Json& item : reference["cases"]) {
      prompts.push_back(tokenizer.encode_with_special_tokens(item["text"].get<std::string>()));
      INFO(item["text"]);
      CHECK(prompts.back() == item["input_ids"].get<Ids>());
      CHECK(std::abs(mean_loss(prompts.back()) - item["mean_nll"].get<double>()) < 1e-5);
      expected.push_back(item["greedy_24"].get<Ids>());
    }
    CHECK(ids_of(ours.write(prompts, {.max_new_tokens = 24, .temperature = 0}, &tokenizer)) ==
          expected);
    const auto story = ours.write({{1}}, {.temperature = 0}, &tokenizer)[0].text;
    CHECK(story == kPublished);
    // Each story alone, with <s> before it.
    double sum = 0, count = 0;
    for (const auto& text : tiny_stories()) {
      const auto ids = tokenizer.encode_with_special_tokens(text);
      sum += mean_loss(ids) * static_cast<double>(ids.size() - 1);
      count += static_cast<double>(ids.size() - 1);
    }
    CHECK(count == reference["tinystories_sample_tokens"].get<double>());
    CHECK(std::abs(sum / count - reference["tinystories_sample_mean_nll"].get<double>()) < 1e-6);
  });
}
