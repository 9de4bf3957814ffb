#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include "core/checkpoint/safetensors.h"
#include "core/error.h"
#include "core/hugging_face/config.h"
#include "core/hugging_face/half.h"
#include "core/hugging_face/weights.h"
#include "test/support/temp_dir.h"

using namespace veomni;
using namespace veomni::test;

namespace {

namespace fs = std::filesystem;

Json llama() {
  return {{"model_type", "llama"},  {"hidden_size", 64},          {"intermediate_size", 128},
          {"num_hidden_layers", 2}, {"num_attention_heads", 4},   {"num_key_value_heads", 2},
          {"vocab_size", 512},      {"rms_norm_eps", 1e-5},       {"rope_theta", 500000.0},
          {"hidden_act", "silu"},   {"tie_word_embeddings", true}};
}

Json read_config(const TempDir& folder, const Json& config) {
  std::ofstream(folder.path() / "config.json") << config.dump();
  return read_hugging_face_config(folder.path());
}

std::string message_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

/// A directory with one tensor "w" [2, 3] f32: 0 … 5.
void write_weights(const fs::path& file) {
  const float values[6] = {0, 1, 2, 3, 4, 5};
  write_safetensors(file, {{"w", "F32", {2, 3}, values}});
}

}  // namespace

TEST_CASE("hugging face config: both forms give the same base", "[hugging_face]") {
  const TempDir folder;
  Json hub = llama(), saved = llama();
  hub["rope_scaling"] = nullptr;
  saved.erase("rope_theta");
  saved["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 500000.0}};
  const Json base = read_config(folder, hub);
  CHECK(base == read_config(folder, saved));
  CHECK(base["family"] == "llama");
  CHECK(base["head_dim"] == 16);
  CHECK(base["rope_theta"] == 500000.0);
  CHECK(base["tie_word_embeddings"] == true);
}

TEST_CASE("hugging face config: what our model does not compute is refused by name",
          "[hugging_face]") {
  struct Row {
    const char* key;
    Json value;
    const char* says;
  };
  const Row rows[] = {
      {"model_type", "gpt_bigcode", "model_type"},
      {"model_type", nullptr, "model_type"},
      {"hidden_size", 0, "hidden_size"},
      {"hidden_size", "64", "hidden_size"},
      {"num_hidden_layers", nullptr, "num_hidden_layers"},
      {"rope_scaling", {{"rope_type", "llama3"}, {"factor", 8.0}}, "rope_scaling"},
      {"rope_scaling", {{"type", "longrope"}, {"factor", 2.0}}, "rope_scaling"},
      {"rope_scaling", {{"type", "linear"}, {"factor", "2"}}, "rope_scaling"},
      {"rope_scaling",
       {{"type", "linear"}, {"factor", 2.0}, {"mrope_section", {1, 2}}},
       "rope_scaling"},
      {"rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}, "max_position_embeddings"},
      {"rope_parameters", {{"partial_rotary_factor", 0.5}}, "rope_parameters"},
      {"rope_scaling", "yarn", "rope_scaling"},
      {"rope_parameters", {{"rope_type", "dynamic"}}, "rope_parameters"},
      {"rope_theta", "big", "rope_theta"},
      {"rope_interleaved", true, "rope_interleaved"},
      {"attention_bias", 1, "attention_bias"},
      {"mlp_bias", "no", "mlp_bias"},
      {"hidden_act", "mish", "hidden_act"},
      {"max_position_embeddings", -1, "max_position_embeddings"},
      {"attention_dropout", 0.1, "attention_dropout"},
      {"tie_word_embeddings", 1, "tie_word_embeddings"},
      {"layer_types", {"full_attention", "sliding_attention"}, "layer_types"},
      {"final_logit_softcapping", 30.0, "final_logit_softcapping"},
      {"quantization_config", {{"bits", 4}}, "quantization_config"}};
  const TempDir folder;
  for (const Row& row : rows) {
    Json config = llama();
    config[row.key] = row.value;
    const auto message = message_of([&] { read_config(folder, config); });
    INFO(row.key << " " << row.value.dump() << ": " << message);
    CHECK(message.find(std::string("config.json: ") + row.says + ": ") != std::string::npos);
    CHECK(message.find('\n') == std::string::npos);
  }
}

namespace {

/// The Hub's form of each architecture with whatever it may vary.
std::vector<Json> varied_configs() {
  Json biased = llama(), mixtral = llama(), linear = llama(), dynamic = llama(), yarn = llama();
  biased["attention_bias"] = biased["mlp_bias"] = true;
  biased["rope_scaling"] = {{"rope_type", "llama3"},
                            {"factor", 8.0},
                            {"low_freq_factor", 1.0},
                            {"high_freq_factor", 4.0},
                            {"original_max_position_embeddings", 8192}};
  linear["rope_scaling"] = {{"type", "linear"}, {"factor", 2.0}};
  dynamic["rope_scaling"] = {{"rope_type", "dynamic"}, {"factor", 2.0}};
  yarn["model_type"] = "qwen3";
  yarn["attention_bias"] = true;
  yarn["rope_scaling"] = {{"rope_type", "yarn"},     {"factor", 4.0},
                          {"attention_factor", 1.5}, {"beta_fast", 16},
                          {"mscale", 0.7},           {"mscale_all_dim", 0.5},
                          {"truncate", false},       {"original_max_position_embeddings", 512}};
  mixtral["model_type"] = "mixtral";
  mixtral["num_local_experts"] = 4;
  mixtral["num_experts_per_tok"] = 2;
  mixtral["router_aux_loss_coef"] = 0.02;
  const Json gpt2 = {{"model_type", "gpt2"}, {"n_embd", 48},       {"n_layer", 2},
                     {"n_head", 3},          {"n_positions", 128}, {"vocab_size", 64},
                     {"resid_pdrop", 0.1},   {"n_ctx", 128}};
  const Json neox = {{"model_type", "gpt_neox"},
                     {"hidden_size", 64},
                     {"intermediate_size", 96},
                     {"num_hidden_layers", 1},
                     {"num_attention_heads", 2},
                     {"vocab_size", 64},
                     {"max_position_embeddings", 8},
                     {"rotary_pct", 0.5},
                     {"rotary_emb_base", 100},
                     {"use_parallel_residual", false},
                     {"rope_scaling", {{"type", "linear"}, {"factor", 2.0}}}};
  return {llama(), biased, linear, dynamic, yarn, mixtral, gpt2, neox};
}

}  // namespace

TEST_CASE("hugging face config: written and read again it is the same base", "[hugging_face]") {
  const TempDir folder;
  auto configs = varied_configs();
  for (const char* type : {"qwen2", "qwen3"}) {
    configs.push_back(llama());
    configs.back()["model_type"] = type;
  }
  for (Json& config : configs) {
    if (config["model_type"] != "gpt2") config["max_position_embeddings"] = 1024;
    INFO(config.dump());
    Json base = read_config(folder, config);
    base["initializer_range"] = 0.02;
    Json again = read_config(folder, make_hugging_face_config(base, 77));
    again["initializer_range"] = 0.02;
    CHECK(again == base);
  }
}

TEST_CASE("hugging face config: GPT-2 and GPT-NeoX in their own names", "[hugging_face]") {
  const TempDir folder;
  const auto configs = varied_configs();
  const Json gpt2 = read_config(folder, configs[6]), neox = read_config(folder, configs[7]);
  CHECK(gpt2["hidden_size"] == 48);
  CHECK(gpt2["intermediate_size"] == 192);
  CHECK(gpt2["max_position_embeddings"] == 128);
  CHECK(gpt2["hidden_act"] == "gelu_new");
  CHECK(gpt2["tie_word_embeddings"] == true);
  CHECK(neox["rotary_pct"] == 0.5);
  CHECK(neox["rope_theta"] == 100.0);
  CHECK(neox["use_parallel_residual"] == false);
  CHECK(neox["tie_word_embeddings"] == false);
  // Ids of GPT-2's own vocabulary, the class's defaults, stay where there are such tokens.
  Json base = gpt2;
  base["initializer_range"] = 0.02;
  const Json small = make_hugging_face_config(base, 77);
  CHECK((small.at("bos_token_id").is_null() && small.at("eos_token_id").is_null()));
  base["vocab_size"] = 50257;
  CHECK(!make_hugging_face_config(base, 77).contains("eos_token_id"));
  Json wrong = configs[6];
  wrong["scale_attn_by_inverse_layer_idx"] = true;
  CHECK(message_of([&] {
          read_config(folder, wrong);
        }).find("scale_attn_by_inverse_layer_idx: true is not supported") != std::string::npos);
}

TEST_CASE("hugging face config: a base that no class of transformers has is refused",
          "[hugging_face]") {
  const TempDir folder;
  const Json base = read_config(folder, llama());
  for (const auto& [key, value] :
       {std::pair<const char*, Json>{"qk_norm", true}, {"num_experts", 4}}) {
    Json changed = base;
    changed[key] = value;
    CHECK(message_of([&] { make_hugging_face_config(changed, 64); }).find("has no class") !=
          std::string::npos);
  }
}

TEST_CASE("half: every number there and back, rounding to nearest even", "[hugging_face]") {
  int wrong = 0;
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = half_to_float(half), wide = bf16_to_float(half);
    if (value == value) wrong += float_to_half(value) != half;
    if (wide == wide) wrong += float_to_bf16(wide) != half;
  }
  CHECK(wrong == 0);
  CHECK(half_to_float(0x3c00) == 1.f);
  CHECK(half_to_float(0x0001) == std::ldexp(1.f, -24));
  CHECK(float_to_half(65519.f) == 0x7bff);
  CHECK(float_to_half(65520.f) == 0x7c00);
  CHECK(float_to_half(1.f + std::ldexp(1.f, -11)) == 0x3c00);  // a tie goes to the even one
  CHECK(float_to_half(1.f + 3 * std::ldexp(1.f, -11)) == 0x3c02);
  CHECK(float_to_half(std::ldexp(1.f, -25)) == 0);
  CHECK(float_to_half(std::ldexp(1.5f, -25)) == 1);
  CHECK(std::isnan(half_to_float(float_to_half(NAN))));
  CHECK(float_to_bf16(1.f + std::ldexp(1.f, -8)) == 0x3f80);
  CHECK(std::isnan(bf16_to_float(float_to_bf16(NAN))));
}

TEST_CASE("hugging face weights: ranges of one file and of several", "[hugging_face]") {
  const TempDir folder;
  write_weights(folder.path() / "model.safetensors");
  float part[2] = {};
  HuggingFaceWeights(folder.path()).read("w", 3, 5, part);
  CHECK(part[0] == 3);
  CHECK(part[1] == 4);
  const TempDir sharded;
  write_weights(sharded.path() / "model-00001-of-00001.safetensors");
  std::ofstream(sharded.path() / "model.safetensors.index.json")
      << R"({"metadata": {}, "weight_map": {"w": "model-00001-of-00001.safetensors"}})";
  const HuggingFaceWeights weights(sharded.path());
  CHECK(weights.shape("w") == std::vector<int64_t>{2, 3});
  CHECK(weights.names() == std::vector<std::string>{"w"});
}

TEST_CASE("hugging face weights: wrong directories are told in one line", "[hugging_face]") {
  const auto with_index = [](const char* text) {
    const TempDir folder;
    write_weights(folder.path() / "model.safetensors");
    std::ofstream(folder.path() / "model.safetensors.index.json") << text;
    return message_of([&] { HuggingFaceWeights weights(folder.path()); });
  };
  const TempDir empty;
  CHECK(message_of([&] { HuggingFaceWeights weights(empty.path()); }).find("holds neither") !=
        std::string::npos);
  CHECK(with_index("{}").find("weight_map") != std::string::npos);
  CHECK(with_index("{").find("not valid JSON") != std::string::npos);
  CHECK(with_index(R"({"weight_map": {"w": 3}})").find("must be a file name") != std::string::npos);
  CHECK(with_index(R"({"weight_map": {"w": "../x.safetensors"}})").find("beside the index") !=
        std::string::npos);
  CHECK(with_index(R"({"weight_map": {"w": "absent.safetensors"}})").find("absent.safetensors") !=
        std::string::npos);
  CHECK(with_index(R"({"weight_map": {"v": "model.safetensors"}})").find("has no tensor") !=
        std::string::npos);
}
