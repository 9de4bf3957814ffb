// Attention within a window: what config.json says of it and what model.base makes of it.
#include <catch2/catch.hpp>
#include <fstream>

#include "core/error.h"
#include "core/hugging_face/config.h"
#include "test/support/temp_dir.h"

using namespace veomni;
using namespace veomni::test;

namespace {

/// A config.json of four layers with these keys changed.
Json config(const char* type, const Json& changes) {
  Json all = {{"model_type", type},        {"hidden_size", 64},        {"intermediate_size", 128},
              {"num_hidden_layers", 4},    {"num_attention_heads", 4}, {"num_key_value_heads", 2},
              {"vocab_size", 512},         {"num_experts", 4},         {"num_experts_per_tok", 2},
              {"moe_intermediate_size", 8}};
  if (std::string(type) != "qwen3_moe")
    for (const char* key : {"num_experts", "num_experts_per_tok", "moe_intermediate_size"})
      all.erase(key);
  all.update(changes);
  return all;
}

Json read(const TempDir& folder, const Json& json) {
  std::ofstream(folder.path() / "config.json") << json.dump();
  return read_hugging_face_config(folder.path());
}

constexpr const char *kFull = "full_attention", *kSliding = "sliding_attention";

struct Row {
  const char* type;
  Json keys;
  int64_t window;         ///< of model.base; 0: none
  Json layer_types = {};  ///< null: none, so that all layers have the window
};

const Row kRows[] = {
    {"mistral", {{"sliding_window", 128}}, 128},
    {"mistral", {{"sliding_window", nullptr}}, 0},
    {"mistral", Json::object(), 4096},  // what transformers takes
    {"mistral",
     {{"sliding_window", 9}, {"layer_types", {kSliding, kSliding, kSliding, kSliding}}},
     9},
    {"qwen2", {{"sliding_window", 128}}, 0},  // without use_sliding_window it has no effect
    {"qwen2",
     {{"sliding_window", 128}, {"use_sliding_window", false}, {"max_window_layers", 2}},
     0},
    {"qwen2",
     {{"sliding_window", 128}, {"use_sliding_window", true}, {"max_window_layers", 3}},
     128,
     {kFull, kFull, kFull, kSliding}},
    {"qwen2", {{"use_sliding_window", true}, {"max_window_layers", 0}}, 4096},
    {"qwen2", {{"sliding_window", 128}, {"use_sliding_window", true}}, 0},  // from layer 28 on
    {"qwen3",
     {{"sliding_window", 5},
      {"use_sliding_window", true},
      {"layer_types", {kSliding, kFull, kSliding, kFull}}},
     5,
     {kSliding, kFull, kSliding, kFull}},
    {"qwen3_moe", {{"sliding_window", 5}, {"use_sliding_window", true}}, 5},
    {"qwen3_moe", {{"sliding_window", 5}}, 0},
    {"llama", {{"layer_types", {kFull, kFull, kFull, kFull}}}, 0},
};

}  // namespace

TEST_CASE("hugging face windows: the window of each layer is that of transformers",
          "[hugging_face][window]") {
  const TempDir folder;
  for (const Row& row : kRows) {
    INFO(row.type << " " << row.keys.dump());
    Json base = read(folder, config(row.type, row.keys));
    CHECK(base.value("sliding_window", 0) == row.window);
    CHECK(base.value("layer_types", Json()) == row.layer_types);
    // Written and read again it is the same.
    base["initializer_range"] = 0.02;
    base["mlp_bias"] = false;
    Json again = read(folder, make_hugging_face_config(base, 77));
    for (const char* key : {"sliding_window", "layer_types"})
      CHECK(again.value(key, Json()) == base.value(key, Json()));
  }
}

TEST_CASE("hugging face windows: what transformers would not compute either is refused by name",
          "[hugging_face][window]") {
  const std::pair<Json, const char*> rows[] = {
      {config("qwen2", {{"layer_types", {kFull, kSliding, kFull, kFull}}}),
       "layer_types: has sliding_attention, but there is no sliding_window"},
      {config("qwen2", {{"layer_types", {kFull, kFull}}}),
       "layer_types: must be a list of 4 entries"},
      {config("qwen2", {{"layer_types", "full_attention"}}),
       "layer_types: must be a list of 4 entries"},
      {config("qwen2", {{"layer_types", {kFull, 7, kFull, kFull}}}),
       "layer_types: 7 is not supported; full_attention and sliding_attention are"},
      {config("mistral",
              {{"sliding_window", 8}, {"layer_types", {kFull, kSliding, kSliding, kSliding}}}),
       "layer_types: has full_attention, but sliding_window is of all layers of mistral"},
      {config("mistral", {{"sliding_window", 0}}), "sliding_window: must be a positive integer"},
      {config("mistral", {{"sliding_window", "128"}}),
       "sliding_window: must be a positive integer"},
      {config("qwen2", {{"use_sliding_window", true}, {"num_hidden_layers", int64_t{1} << 62}}),
       "num_hidden_layers: is 4611686018427387904, must be at most 65536"},
      {config("qwen3", {{"use_sliding_window", 1}}), "use_sliding_window: must be true or false"},
      {config("qwen3", {{"use_sliding_window", true}, {"max_window_layers", -1}}),
       "max_window_layers: must be a positive integer"},
      {config("llama", {{"use_sliding_window", true}, {"sliding_window", 8}}),
       "use_sliding_window: attention of this architecture has no window"}};
  const TempDir folder;
  for (const auto& [json, says] : rows) {
    INFO(json.dump());
    CHECK_THROWS_WITH(read(folder, json),
                      Catch::Contains("config.json: ") && Catch::Contains(says));
  }
}

TEST_CASE("hugging face windows: a base that no class of transformers computes is not exported",
          "[hugging_face][window]") {
  const TempDir folder;
  Json base = read(folder, config("mistral", {{"sliding_window", 8}}));
  base["initializer_range"] = 0.02;
  CHECK(make_hugging_face_config(base, 77)["model_type"] == "mistral");
  base["layer_types"] = {kFull, kSliding, kFull, kSliding};
  CHECK_THROWS_WITH(make_hugging_face_config(base, 77), Catch::Contains("has no class"));
  base.erase("layer_types");
  base["mlp_bias"] = true;  // Llama has it, but no window
  CHECK_THROWS_WITH(make_hugging_face_config(base, 77), Catch::Contains("has no class"));
}
