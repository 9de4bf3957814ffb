// Pretrained encoders in the program itself: imported, trained on images and sounds, resumed.
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>

#include "core/checkpoint/checkpoint.h"
#include "core/hugging_face/weights.h"
#include "runs/runs.h"
#include "support/paths.h"
#include "support/temp_dir.h"

using namespace veomni;
using namespace veomni::test;

namespace {

namespace fs = std::filesystem;

fs::path fixture(const std::string& name) {
  const auto own = fs::path(source_dir()) / "test/fixtures/hf" / name;
  return fs::exists(own) ? own : fs::path(source_dir()) / "../shared/fixtures/hf" / name;
}

std::string big_endian(const std::vector<uint32_t>& values) {
  std::string bytes;
  for (const uint32_t value : values)
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

/// 12 pictures, dark or bright by their label, as MNIST's files hold them.
void write_pictures(const fs::path& folder) {
  std::string images = big_endian({0x00000803, 12, 10, 14}), labels = big_endian({0x00000801, 12});
  for (int i = 0; i < 12; ++i) {
    labels += static_cast<char>(i % 2);
    for (int p = 0; p < 140; ++p) images += static_cast<char>(i % 2 * 150 + (p * 7 + i) % 90);
  }
  std::ofstream(folder / "images", std::ios::binary) << images;
  std::ofstream(folder / "labels", std::ios::binary) << labels;
}

/// 12 tones of half a second at 8 kHz, low or high by their label.
void write_tones(const fs::path& folder) {
  std::ofstream manifest(folder / "sounds.jsonl");
  for (int i = 0; i < 12; ++i) {
    std::string bytes = "RIFF????WAVEfmt ";
    const auto put = [&](auto value) {
      bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
    };
    for (const uint32_t value : {16U, 0x00010001U, 8000U, 16000U, 0x00100002U}) put(value);
    bytes += "data";
    put(uint32_t{8000});
    for (int t = 0; t < 4000; ++t)
      put(static_cast<int16_t>(9000 * std::sin((i % 2 == 0 ? 0.2 : 1.1) * (t + 3 * i))));
    const auto name = "tone" + std::to_string(i) + ".wav";
    std::ofstream(folder / name, std::ios::binary) << bytes;
    manifest << Json({{"audio", name}, {"high", i % 2}}).dump() << "\n";
  }
}

/// Pictures for one model and, where there is one, sounds for another.
std::string write_recipe(const fs::path& folder, const std::string& vision,
                         const std::string& audio = {}) {
  write_pictures(folder);
  write_tones(folder);
  Json recipe = Json::parse(R"({
  "name": "encoders",
  "model": {
    "base": { "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2 },
    "encoders": { "photo": { "type": "image", "tokens": "pooled" }, "sound": { "type": "audio" } },
    "heads": { "label": { "type": "classification", "classes": 2 } } },
  "data": { "sources": [
    { "name": "photos", "format": "idx", "path": "images", "labels": "labels",
      "sample": [ { "part": "photo", "field": "image" } ], "targets": { "label": "label" } },
    { "name": "sounds", "format": "media", "path": "sounds.jsonl",
      "sample": [ { "part": "sound", "field": "audio" } ], "targets": { "label": "high" } } ] },
  "train": { "steps": 2, "packs": 2, "pack_tokens": 64, "optimizer": { "lr": 1e-30 } },
  "checkpoint": { "every": 1 }, "output": "run" })");
  recipe["model"]["encoders"]["photo"]["from"] = fixture(vision).string();
  if (audio.empty()) {
    recipe["model"]["encoders"].erase("sound");
    recipe["data"]["sources"].erase(1);
  } else {
    recipe["model"]["encoders"]["sound"]["from"] = fixture(audio).string();
  }
  std::ofstream(folder / "recipe.json") << recipe.dump(1);
  return (folder / "recipe.json").string();
}

/// The parameter of the checkpoint and the tensor of the directory hold the same values.
void check_same(const Checkpoint& checkpoint, const std::string& parameter,
                const HuggingFaceWeights& weights, const std::string& tensor) {
  INFO(parameter);
  const auto shape = checkpoint.shape(parameter);
  const int64_t count = count_elements(shape).value();
  REQUIRE(count == count_elements(weights.shape(tensor)).value());
  std::vector<float> ours(static_cast<size_t>(count)), theirs(ours.size());
  checkpoint.read({parameter, "F32", shape, 0, count, ours.data()});
  weights.read(tensor, 0, count, theirs.data());
  CHECK(ours == theirs);
}

}  // namespace

TEST_CASE("encoders: SigLIP and Whisper start from their directories, train on 2 ranks and resume",
          "[runs][hugging_face]") {
  if (!fs::exists(fixture("siglip_vision"))) {
    WARN("skipped: no fixtures beside the checkout");
    return;
  }
  const TempDir folder;
  const auto recipe = write_recipe(folder.path(), "siglip_vision", "whisper_encoder");
  const auto trained = run_veomni({"train", recipe, "--ranks", "2"});
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  const Checkpoint checkpoint(folder / "run/checkpoints/step-00000002");
  const HuggingFaceWeights siglip(fixture("siglip_vision")), whisper(fixture("whisper_encoder"));
  check_same(checkpoint, "encoders.photo.patch_embed.weight", siglip,
             "vision_model.embeddings.patch_embedding.weight");
  check_same(checkpoint, "encoders.photo.head.probe", siglip, "vision_model.head.probe");
  check_same(checkpoint, "encoders.photo.blocks.1.mlp.down_proj.weight", siglip,
             "vision_model.encoder.layers.1.mlp.fc2.weight");
  check_same(checkpoint, "encoders.sound.embed_positions.weight", whisper,
             "model.encoder.embed_positions.weight");
  check_same(checkpoint, "encoders.sound.blocks.0.self_attn.o_proj.weight", whisper,
             "model.encoder.layers.0.self_attn.out_proj.weight");
  const auto resumed = run_veomni({"train", recipe, "--resume", "auto", "train.steps=4"});
  INFO(resumed.err);
  REQUIRE(resumed.code == 0);
  CHECK(step_lines(folder / "run").size() == 4);
}

TEST_CASE("encoders: CLIP starts from the encoder alone and from a whole model, trains and resumes",
          "[runs][hugging_face]") {
  // transformers 5 saves the encoder alone without the prefix that a whole model's tensors have.
  for (const auto& [name, prefix] :
       {std::pair{"clip_vision", ""}, std::pair{"clip_whole", "vision_model."}}) {
    INFO(name);
    const TempDir folder;
    const auto recipe = write_recipe(folder.path(), name);
    const auto trained = run_veomni({"train", recipe, "--ranks", "2"});
    INFO(trained.err);
    REQUIRE(trained.code == 0);
    const Checkpoint checkpoint(folder / "run/checkpoints/step-00000002");
    const HuggingFaceWeights clip(fixture(name));
    for (const auto& [parameter, tensor] :
         {std::pair{"patch_embed.weight", "embeddings.patch_embedding.weight"},
          std::pair{"class_embedding", "embeddings.class_embedding"},
          std::pair{"position_embedding.weight", "embeddings.position_embedding.weight"},
          std::pair{"pre_norm.weight", "pre_layrnorm.weight"},
          std::pair{"norm.bias", "post_layernorm.bias"},
          std::pair{"blocks.0.self_attn.o_proj.weight",
                    "encoder.layers.0.self_attn.out_proj.weight"}})
      check_same(checkpoint, std::string("encoders.photo.") + parameter, clip,
                 std::string(prefix) + tensor);
    const auto resumed = run_veomni({"train", recipe, "--resume", "auto", "train.steps=4"});
    INFO(resumed.err);
    REQUIRE(resumed.code == 0);
    CHECK(step_lines(folder / "run").size() == 4);
  }
}
