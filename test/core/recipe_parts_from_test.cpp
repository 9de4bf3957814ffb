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

/// As the Hub has openai/clip-vit-base-patch32: an early version of transformers wrote every key that any model knows.
Json clip() {
  return Json::parse(
      R"({ "architectures": ["CLIPModel"], "initializer_factor": 1.0, "logit_scale_init_value": 2.6592,
  "model_type": "clip", "projection_dim": 512, "text_config": { "hidden_size": 512 }, "text_config_dict": null,
  "transformers_version": "4.16.0.dev0", "vision_config_dict": null,
  "vision_config": { "_name_or_path": "", "add_cross_attention": false, "architectures": null,
    "attention_dropout": 0.0, "bad_words_ids": null, "bos_token_id": null, "chunk_size_feed_forward": 0,
    "cross_attention_hidden_size": null, "decoder_start_token_id": null, "diversity_penalty": 0.0, "do_sample": false,
    "dropout": 0.0, "early_stopping": false, "encoder_no_repeat_ngram_size": 0, "eos_token_id": null,
    "finetuning_task": null, "forced_bos_token_id": null, "forced_eos_token_id": null, "hidden_act": "quick_gelu",
    "hidden_size": 768, "id2label": { "0": "LABEL_0", "1": "LABEL_1" }, "image_size": 224, "initializer_factor": 1.0,
    "initializer_range": 0.02, "intermediate_size": 3072, "is_decoder": false, "is_encoder_decoder": false,
    "label2id": { "LABEL_0": 0, "LABEL_1": 1 }, "layer_norm_eps": 1e-05, "length_penalty": 1.0, "max_length": 20,
    "min_length": 0, "model_type": "clip_vision_model", "no_repeat_ngram_size": 0, "num_attention_heads": 12,
    "num_beam_groups": 1, "num_beams": 1, "num_hidden_layers": 12, "num_return_sequences": 1,
    "output_attentions": false, "output_hidden_states": false, "output_scores": false, "pad_token_id": null,
    "patch_size": 32, "prefix": null, "problem_type": null, "pruned_heads": {}, "remove_invalid_values": false,
    "repetition_penalty": 1.0, "return_dict": true, "return_dict_in_generate": false, "sep_token_id": null,
    "task_specific_params": null, "temperature": 1.0, "tie_encoder_decoder": false, "tie_word_embeddings": true,
    "tokenizer_class": null, "top_k": 50, "top_p": 1.0, "torch_dtype": null, "torchscript": false,
    "transformers_version": "4.16.0.dev0", "typical_p": 1.0, "use_bfloat16": false } })");
}

/// Its preprocessor_config.json.
Json clip_processor() {
  return Json::parse(
      R"({ "crop_size": 224, "do_center_crop": true, "do_normalize": true, "do_resize": true,
  "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": [0.48145466, 0.4578275, 0.40821073],
  "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "size": 224 })");
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
  CHECK_THAT(error({{"model_type", "dinov2"}}, {{"type", "image"}, {"from", "hf"}}),
             Catch::Contains("config.json: model_type: \"dinov2\" is not supported"));
  CHECK_THAT(error(clip(), from),
             Catch::Contains("\"clip\" is not supported; siglip and siglip_vision_model are"));
  CHECK_THAT(error({{"model_type", "siglip"}}, {{"type", "audio"}, {"from", "hf"}}),
             Catch::Contains("config.json: model_type: \"siglip\" is not supported; whisper is"));
  CHECK_THAT(error(siglip(), {{"type", "image"}}), Catch::Contains("patch_size"));
}

TEST_CASE("from: CLIP is read as old and new versions of transformers wrote it",
          "[recipe][hugging_face]") {
  const Case test;
  std::filesystem::create_directory(test.folder.path() / "hf");
  const Json from{{"type", "image"}, {"from", "hf"}};
  const auto photo = [&] { return test.resolved(from)["encoders"]["photo"]; };
  test.config(clip());
  const Json alone = photo();
  CHECK(alone["type"] == "clip");
  CHECK(alone["patch_size"] == 32);
  CHECK(alone["hidden_act"] == "quick_gelu");
  CHECK(alone["layer_norm_eps"] == 1e-5);
  CHECK(alone["mean"] == clip_processor()["image_mean"]);
  CHECK(alone["std"] == clip_processor()["image_std"]);
  CHECK(alone["resize"] == "crop");
  test.folder.write("hf/preprocessor_config.json", clip_processor().dump());
  CHECK(photo() == alone);
  test.config({{"model_type", "clip_vision_model"}});  // transformers' defaults
  CHECK(photo() == alone);
  Json twice =
      clip();  // what is not in vision_config_dict has its default, whatever vision_config says
  twice["vision_config"]["num_hidden_layers"] = 3;
  twice["vision_config_dict"] = {{"hidden_act", "gelu"}, {"hidden_size", 1536}};
  test.config(twice);
  CHECK(photo()["hidden_act"] == "gelu");
  CHECK(photo()["hidden_size"] == 1536);
  CHECK(photo()["num_hidden_layers"] == 12);
}

TEST_CASE("from: CLIP's images are prepared as its processor says, or it is refused at its key",
          "[recipe][hugging_face]") {
  const Case test;
  std::filesystem::create_directory(test.folder.path() / "hf");
  test.config(clip());
  const Json from{{"type", "image"}, {"from", "hf"}};
  const auto resolved = [&](const Json& changes) {
    Json processor = clip_processor();
    processor.update(changes);
    test.folder.write("hf/preprocessor_config.json", processor.dump());
    return test.resolved(from)["encoders"]["photo"];
  };
  const Json square{{"height", 224}, {"width", 224}}, shortest{{"shortest_edge", 224}};
  CHECK(resolved({{"size", shortest}, {"crop_size", square}})["resize"] == "crop");
  CHECK(resolved({{"size", square}, {"crop_size", square}})["resize"] == "stretch");
  CHECK(resolved({{"image_mean", {0.1, 0.2, 0.3}}})["mean"] == Json({0.1, 0.2, 0.3}));
  const auto refused = [&](const Json& changes, const std::string& message) {
    INFO(changes.dump());
    CHECK_THAT(config_error([&] { resolved(changes); }),
               Catch::Contains("preprocessor_config.json: " + message));
  };
  refused({{"do_center_crop", false}}, "do_center_crop: false is not supported; only true is");
  refused({{"size", 256}}, "size: 256 is not supported; the encoder takes images of 224 x 224");
  refused({{"size", {{"shortest_edge", 224}, {"longest_edge", 300}}}}, "size: ");
  refused({{"crop_size", {{"height", 224}, {"width", 200}}}}, "crop_size: ");
  refused({{"resample", 2}}, "resample: 2 is not supported");
  refused({{"rescale_factor", 1}}, "rescale_factor: must be 1/255");
  // transformers 5 keeps it in processor_config.json, and reads that one first.
  test.folder.write("hf/processor_config.json",
                    R"({"image_processor": {"size": {"shortest_edge": 256}}})");
  CHECK_THAT(config_error([&] { test.resolved(from); }),
             Catch::Contains("processor_config.json: image_processor.size: "));
}

TEST_CASE("from: a CLIP that the encoder does not compute is refused at its key",
          "[recipe][hugging_face]") {
  const Case test;
  std::filesystem::create_directory(test.folder.path() / "hf");
  const auto refused = [&](const Json& changes, const std::string& message) {
    INFO(changes.dump());
    Json config = clip();
    config["vision_config"].update(changes);
    test.config(config);
    CHECK_THAT(config_error([&] {
                 test.resolved({{"type", "image"}, {"from", "hf"}});
               }),
               Catch::Contains(message));
  };
  refused({{"attention_dropout", 0.1}}, "config.json: vision_config.attention_dropout: 0.1");
  refused({{"pruned_heads", {{"1", {0}}}}}, "config.json: vision_config.pruned_heads: ");
  refused({{"image_size", {224, 336}}}, "config.json: vision_config.image_size: must be a");
  refused({{"registers", 4}}, "config.json: vision_config.registers: unknown key");
  refused({{"hidden_act", "mish"}}, "model.encoders.photo.hidden_act");
  refused({{"num_attention_heads", 5}}, "num_attention_heads: hidden_size / heads = 768 / 5");
  refused({{"patch_size", 256}}, "patch_size: 256 is larger than image_size = 224");
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
