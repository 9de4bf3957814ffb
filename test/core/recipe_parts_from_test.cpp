// Encoders that start from a Hugging Face directory, and base models that bring one along.
#include <catch2/catch.hpp>

#include "core/hugging_face/config.h"
#include "recipe_fixture.h"

using namespace veomni;
using namespace veomni::test;

namespace {

Json siglip() {
  return {{"model_type", "siglip"},
          {"text_config", {{"hidden_size", 99}}},
          {"vision_config", {{"hidden_size", 64}, {"num_attention_heads", 4}, {"patch_size", 8}}}};
}

/// As transformers 5 saves a Qwen2.5-VL.
Json qwen_vl() {
  return Json::parse(R"({ "model_type": "qwen2_5_vl", "tie_word_embeddings": true,
  "image_token_id": 505, "video_token_id": 506, "vision_start_token_id": 507, "vision_end_token_id": 508,
  "text_config": { "model_type": "qwen2_5_vl_text", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 512, "rms_norm_eps": 1e-6, "hidden_act": "silu",
    "rope_parameters": { "rope_type": "default", "rope_theta": 1000000.0, "mrope_section": [4, 2, 2] } },
  "vision_config": { "model_type": "qwen2_5_vl_vision", "depth": 3, "hidden_size": 32, "intermediate_size": 48,
    "num_heads": 2, "out_hidden_size": 64, "patch_size": 4, "window_size": 16, "fullatt_block_indexes": [1] } })");
}

/// The same as the Hub has it: the text model's keys at the top.
Json on_the_hub(const Json& saved) {
  Json config = saved;
  config.erase("text_config");
  for (const auto& [key, value] : saved["text_config"].items())
    if (key != "model_type" && key != "rope_parameters") config[key] = value;
  config["rope_theta"] = 1000000.0;
  config["rope_scaling"] = {{"type", "mrope"}, {"mrope_section", {4, 2, 2}}};
  return config;
}

/// A recipe on images with this encoder; `model` is merged into its section.
struct Case {
  RecipeFolder folder;

  Json resolved(const Json& encoder, const Json& model = Json::object()) const {
    ensure_specs();
    Json recipe = Json::parse(R"({
    "model": { "heads": { "label": { "type": "classification", "classes": 2 } } },
    "data": { "sources": [ { "name": "m", "format": "idx", "path": "data/images.gz", "labels": "data/labels.gz",
      "sample": [ { "part": "photo", "field": "image" } ], "targets": { "label": "label" } } ] },
    "train": { "steps": 1, "packs": 1, "pack_tokens": 64 } })");
    recipe["model"]["encoders"]["photo"] = encoder;
    if (!model.contains("from"))
      recipe["model"]["base"] = {{"hidden_size", 16},
                                 {"intermediate_size", 32},
                                 {"num_hidden_layers", 1},
                                 {"num_attention_heads", 2}};
    recipe["model"].merge_patch(model);
    return read_recipe(folder.write("recipe.json", recipe.dump()), {}).resolved["model"];
  }
  void config(const Json& json) const { folder.write("hf/config.json", json.dump()); }
};

}  // namespace

TEST_CASE("from: an image encoder gets its type and sizes from config.json",
          "[recipe][hugging_face]") {
  const Case test;
  std::filesystem::create_directory(test.folder.path() / "hf");
  test.config(siglip());
  const Json from{{"type", "image"}, {"from", "hf"}};
  Json photo = test.resolved(from)["encoders"]["photo"];
  CHECK(photo["type"] == "siglip");
  CHECK(photo["from"] == (test.folder.path() / "hf").string());
  CHECK(photo["hidden_size"] == 64);
  CHECK(photo["num_hidden_layers"] == 12);  // transformers' default
  CHECK(photo["mean"] == 0.5);
  test.folder.write("hf/preprocessor_config.json",
                    R"({"image_mean": [0.4, 0.5, 0.6], "resample": 3, "do_resize": true})");
  photo = test.resolved(from)["encoders"]["photo"];
  CHECK(photo["mean"] == Json({0.4, 0.5, 0.6}));
  // A run's own recipe does not need the directory any more.
  std::filesystem::rename(test.folder.path() / "hf", test.folder.path() / "moved");
  CHECK(test.resolved(photo)["encoders"]["photo"] == photo);
}

TEST_CASE("from: what an encoder's weights are not made for is refused at its key",
          "[recipe][hugging_face]") {
  const Case test;
  std::filesystem::create_directory(test.folder.path() / "hf");
  const auto error = [&](const Json& config, const Json& encoder) {
    test.config(config);
    return config_error([&] { test.resolved(encoder); });
  };
  const Json from{{"type", "siglip"}, {"from", "hf"}};
  Json wide = from;
  wide["hidden_size"] = 128;
  CHECK_THAT(error(siglip(), wide),
             Catch::Contains("model.encoders.photo.hidden_size: 128, but the weights of"));
  Json odd = siglip();
  odd["vision_config"]["logit_softcap"] = 3;
  CHECK_THAT(error(odd, from),
             Catch::Contains("config.json: vision_config.logit_softcap: unknown key"));
  CHECK_THAT(error({{"model_type", "clip"}}, {{"type", "image"}, {"from", "hf"}}),
             Catch::Contains("config.json: model_type: \"clip\" is not supported"));
  CHECK_THAT(error({{"model_type", "siglip"}}, {{"type", "audio"}, {"from", "hf"}}),
             Catch::Contains("config.json: model_type: \"siglip\" is not supported; whisper is"));
  CHECK_THAT(error(siglip(), {{"type", "image"}}), Catch::Contains("patch_size"));
}

TEST_CASE("from: Qwen2.5-VL brings its vision encoder along, from both forms of config.json",
          "[recipe][hugging_face]") {
  const Case test;
  std::filesystem::create_directory(test.folder.path() / "hf");
  const auto where = (test.folder.path() / "hf").string();
  const Json encoder{{"type", "qwen2_5_vl"}}, model{{"from", "hf"}};
  test.config(qwen_vl());
  const Json saved = test.resolved(encoder, model);
  CHECK(saved["base"]["mrope_section"] == Json({4, 2, 2}));
  CHECK(saved["base"]["family"] == "qwen2");
  CHECK(saved["encoders"].size() == 1);
  const Json& photo = saved["encoders"]["photo"];
  CHECK(photo["from"] == where);
  CHECK(photo["depth"] == 3);
  CHECK(photo["vision_start_token_id"] == 507);
  test.config(on_the_hub(qwen_vl()));
  CHECK(test.resolved(encoder, model) == saved);
  // Export writes what the reader reads.
  Json base = saved["base"];
  base["vocab_size"] = 512;
  Json written = make_hugging_face_config(base, 64);
  written.update(specs()
                     .get(SpecRegistry::Kind::encoder, "qwen2_5_vl")
                     .write_config({"photo", "qwen2_5_vl", photo}));
  test.config(written);
  Json again = test.resolved(encoder, model);
  again["base"].erase("max_position_embeddings");
  CHECK(again == saved);
}
