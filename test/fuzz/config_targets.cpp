// JSON that people and Hugging Face write: recipes, config.json, generation_config.json, preprocessor_config.json.
#include "core/error.h"
#include "core/hugging_face/config.h"
#include "core/hugging_face/generation_config.h"
#include "core/recipe/recipe.h"
#include "fuzz/targets.h"
#include "modalities/all.h"

namespace veomni::fuzz {
namespace fs = std::filesystem;
namespace {

/// What can be read can be written, or is refused for what it is: there is no file to name.
void export_config(const Json& base) {
  try {
    if (!make_hugging_face_config(base, 128).is_object()) throw Error("no config");
  } catch (const ConfigError& refusal) {
    if (!std::string_view(refusal.what()).starts_with("export: model.base: ")) throw;
  }
}

Target config_target(const fs::path& folder) {
  const auto model = folder / "config";
  fs::create_directories(model);
  write_bytes(folder / "text.txt", std::string(500, 'a'));
  write_bytes(
      folder / "from.json",
      R"({"name":"from","model":{"from":"config","decoders":{"text":{"type":"text"}}},"tokenizer":"bytes","data":{"sources":[)"
      R"({"name":"text","format":"text","path":"text.txt","sample_tokens":32,"sample":[{"part":"text","field":"text","learn":true}]}]},)"
      R"("train":{"steps":1,"packs":2,"pack_tokens":64},"output":"run"})");
  const std::string llama =
      R"({"model_type":"llama","hidden_size":64,"intermediate_size":128,"num_hidden_layers":2,"num_attention_heads":4,)"
      R"("num_key_value_heads":2,"vocab_size":512,"rms_norm_eps":1e-5,"rope_theta":500000.0,"hidden_act":"silu","tie_word_embeddings":true)";
  const std::string moe =
      R"({"model_type":"qwen3_moe","hidden_size":64,"intermediate_size":128,"num_hidden_layers":2,"num_attention_heads":4,)"
      R"("num_key_value_heads":2,"vocab_size":512,"head_dim":16,"num_experts":8,"num_experts_per_tok":2,"moe_intermediate_size":32,)"
      R"("norm_topk_prob":true,"layer_types":["full_attention","full_attention"],"rope_parameters":{"rope_type":"default","rope_theta":1e6}})";
  return {"config",
          {llama + "}",
           llama + R"(,"rope_scaling":null,"sliding_window":4096,"max_position_embeddings":2048})",
           moe},
          [=](const std::string& bytes) {
            write_bytes(model / "config.json", bytes);
            Json base = read_hugging_face_config(model);
            base["initializer_range"] = 0.02;
            export_config(base);
            (void)read_recipe((folder / "from.json").string(), {});
          },
          {},
          {"\"llama\"", "\"mistral\"", "\"qwen2\"", "\"rope_scaling\":", "\"sliding_window\":",
           "\"use_sliding_window\":true,", "\"layer_types\":", "true", "null", "[[", "\xff"}};
}

/// A recipe of one encoder, `keys`, whose model directory is `encoder`.
std::string encoder_recipe(const std::string& keys) {
  return R"({"name":"e","model":{"encoders":{"part":{"from":"encoder",)" + keys +
         R"(}},"base":{"hidden_size":16,"intermediate_size":32,"num_hidden_layers":1,"num_attention_heads":2},)"
         R"("decoders":{"text":{"type":"text"}}},"tokenizer":"bytes","data":{"sources":[)"
         R"({"name":"m","format":"media","path":"media.jsonl","sample":[{"part":"part","field":"x"},{"part":"text","field":"text","learn":true}]}]},)"
         R"("train":{"steps":1,"packs":2,"pack_tokens":4096},"output":"run"})";
}

void write_encoder_recipes(const fs::path& folder) {
  fs::create_directories(folder / "encoder");
  write_bytes(folder / "media.jsonl", "{\"x\":\"a\",\"text\":\"b\"}\n");
  write_bytes(folder / "siglip.json", encoder_recipe(R"("type":"siglip")"));
  write_bytes(folder / "clip.json", encoder_recipe(R"("type":"clip")"));
  write_bytes(folder / "whisper.json", encoder_recipe(R"("type":"audio")"));
  write_bytes(folder / "qwen.json", encoder_recipe(R"("type":"qwen2_5_vl")"));
}

const char* const kSiglip =
    R"({"model_type":"siglip","text_config":{"hidden_size":99},"vision_config":{"hidden_size":64,"num_attention_heads":4,"patch_size":8}})";

const char* const kClip =
    R"({"model_type":"clip","projection_dim":8,"vision_config_dict":null,"vision_config":{"hidden_size":64,"num_attention_heads":4,"patch_size":8,"top_k":50}})";

Target encoder_config_target(const fs::path& folder) {
  write_encoder_recipes(folder);
  const auto file = folder / "encoder/config.json";
  return {
      "encoder_config",
      {kSiglip, kClip,
       R"({"model_type":"whisper","d_model":64,"encoder_layers":2,"encoder_attention_heads":4,"encoder_ffn_dim":128,"num_mel_bins":80,"max_source_positions":100})",
       R"({"model_type":"qwen2_5_vl","vision_start_token_id":507,"vision_end_token_id":508,"image_token_id":505,"vision_config":{"model_type":"qwen2_5_vl_vision",)"
       R"("depth":3,"hidden_size":32,"intermediate_size":48,"num_heads":2,"out_hidden_size":16,"patch_size":4,"window_size":16,"fullatt_block_indexes":[1]}})"},
      [=](const std::string& bytes) {
        write_bytes(file, bytes);
        const bool whisper = bytes.find("whisper") != std::string::npos;
        const bool qwen = bytes.find("qwen2_5_vl") != std::string::npos;
        const bool clip = bytes.find("clip") != std::string::npos;
        const char* recipe = whisper ? "whisper.json"
                             : qwen  ? "qwen.json"
                             : clip  ? "clip.json"
                                     : "siglip.json";
        (void)read_recipe((folder / recipe).string(), {});
      },
      {},
      {"\"vision_config\":{", "\"hidden_size\":", "\"num_hidden_layers\":", "\"hidden_act\":",
       "\"image_size\":", "true", "null", "[[", "\xff"}};
}

Target preprocessor_config_target(const fs::path& folder) {
  const auto file = folder / "encoder/preprocessor_config.json";
  return {
      "preprocessor_config",
      {R"({"image_mean":[0.4,0.5,0.6],"image_std":[0.5,0.5,0.5],"resample":3,"do_resize":true,"do_rescale":true,"rescale_factor":0.00392156862745098,)"
       R"("do_normalize":true,"size":{"height":224,"width":224}})",
       R"({"do_center_crop":true,"crop_size":224,"size":{"shortest_edge":224},"image_mean":[0.4,0.5,0.6],"image_std":[0.5,0.5,0.5]})"},
      [=](const std::string& bytes) {
        const bool crops = bytes.find("crop") != std::string::npos;
        write_bytes(folder / "encoder/config.json", crops ? kClip : kSiglip);
        write_bytes(file, bytes);
        (void)read_recipe((folder / (crops ? "clip.json" : "siglip.json")).string(), {});
      },
      {},
      {"\"image_mean\":", "\"image_std\":", "\"do_resize\":", "\"size\":", "[", "null", "{",
       "\xff"}};
}

Target generation_config_target(const fs::path& folder) {
  const auto model = folder / "generation";
  fs::create_directories(model);
  write_bytes(model / "config.json", R"({"max_position_embeddings":128,"eos_token_id":[1,2]})");
  return {
      "generation_config",
      {R"({"do_sample":true,"temperature":0.6,"top_k":20,"top_p":0.95,"min_p":0.0,"repetition_penalty":1.1,"eos_token_id":[1,2],"pad_token_id":1,"max_new_tokens":64,"transformers_version":"5.0"})",
       R"({"bos_token_id":1,"eos_token_id":2,"max_length":20,"stop_strings":["a","b"],"num_beams":1})"},
      [=](const std::string& bytes) {
        write_bytes(model / "generation_config.json", bytes);
        const auto made = read_generation_defaults(model, false).settings;
        const bool sound = made.temperature >= 0 && made.top_p >= 0 && made.top_p <= 1 &&
                           made.top_k >= 0 && made.repetition_penalty > 0;
        if (!sound) throw Error("a setting is out of range");
      },
      {},
      {"\"num_beams\":", "\"typical_p\":", "\"eos_token_id\":", "\"stop_strings\":", "true", "null",
       "[", "\xff"}};
}

Target recipe_target(const fs::path& folder) {
  const auto home = folder / "recipes";
  fs::create_directories(home);
  write_bytes(home / "text.txt", std::string(500, 'a'));
  write_bytes(home / "rows.csv", "x,y,z\n1,0,a\n2,1,b\n");
  const auto file = (home / "recipe.json").string();
  return {
      "recipe",
      {R"({"name":"text","seed":1,"model":{"base":{"family":"qwen3_moe","hidden_size":64,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,)"
       R"("head_dim":16,"num_experts":4,"num_experts_per_tok":2,"moe_intermediate_size":32},"decoders":{"text":{"type":"text"}}},"tokenizer":"bytes","data":{"sources":[)"
       R"({"name":"t","format":"text","path":"text.txt","weight":2,"split":{"train":[0.0,0.9],"eval":[0.9,1.0]},"sample_tokens":32,"sample":[{"part":"text","field":"text","learn":true}]}]},)"
       R"("train":{"steps":3,"packs":2,"pack_tokens":64,"optimizer":{"type":"adamw","lr":1e-3,"betas":[0.9,0.95],"eps":1e-8,"weight_decay":0.1,"clip":1.0},)"
       R"("schedule":{"type":"cosine","warmup":1,"final":0.1},"precision":"bf16"},"eval":{"every":2},"parallel":{"replicate":1,"shard":2},"checkpoint":{"every":2,"keep":2},"output":"run"})",
       R"({"name":"rows","model":{"base":{"family":"llama","hidden_size":32,"intermediate_size":64,"num_hidden_layers":1,"num_attention_heads":2},"encoders":{"u":{"type":"features",)"
       R"("columns":{"x":"number","z":"category"}}},"heads":{"y":{"type":"binary","weight":0.5}}},"data":{"sources":[{"name":"r","format":"csv","path":"rows.csv","sample":[{"part":"u"}],)"
       R"("targets":{"y":"y"}}]},"train":{"steps":1,"packs":1,"pack_tokens":16},"output":"run"})"},
      [=](const std::string& bytes) {
        write_bytes(file, bytes);
        (void)read_recipe(file, {});
      },
      {},
      {"\"model\":",
       "\"from\":",
       "\"encoders\":{",
       "\"tables\":{",
       "\"heads\":{",
       "\"type\":",
       "\"classification\"",
       "\"image\"",
       "\"features\"",
       "\"given\":",
       "\"split\":",
       "\"format\":",
       "\"jsonl\"",
       "\"media\"",
       "\"messages\"",
       "true",
       "null",
       "//",
       "\n",
       "[[",
       "\xff"}};
}

}  // namespace

std::vector<Target> config_targets(const fs::path& folder) {
  register_specs();
  return {config_target(folder), encoder_config_target(folder), preprocessor_config_target(folder),
          generation_config_target(folder), recipe_target(folder)};
}

}  // namespace veomni::fuzz
