// Damaged config.json files: whatever is wrong is refused in one line that names the file and the key or place.
#include "core/error.h"
#include "core/recipe/recipe.h"
#include "test/core/checkpoint_files.h"
#include "test/core/damage.h"
#include "test/core/recipe_fixture.h"

using namespace veomni;
using namespace veomni_test;
namespace fs = std::filesystem;

namespace {

const std::string kConfig =
    R"({"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
 "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 256, "rms_norm_eps": 1e-05,
 "rope_theta": 500000.0, "rope_scaling": null, "hidden_act": "silu", "attention_bias": false, "mlp_bias": false,
 "attention_dropout": 0.0, "tie_word_embeddings": true})";

const std::string kMoe =
    R"({"model_type": "qwen3_moe", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
 "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 256, "rms_norm_eps": 1e-06,
 "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "norm_topk_prob": true,
 "decoder_sparse_step": 1, "mlp_only_layers": [], "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}})";

const std::string kRecipe =
    R"({"name": "from", "model": {"from": "m", "decoders": {"text": {"type": "text"}}},
 "tokenizer": "bytes", "data": {"sources": [{"name": "text", "format": "text", "path": "text.txt", "sample_tokens": 32,
 "sample": [{"part": "text", "field": "text", "learn": true}]}]}, "train": {"steps": 1, "packs": 2, "pack_tokens": 64}, "output": "run"})";

const std::vector<Row> kConfigRows{
    {R"("model_type": "llama")", R"("model_type": "llame")", "model_type: \"llame\" is not"},
    {R"("model_type": "llama")", R"("model_type": ["llama"])", "model_type: [\"llama\"] is not"},
    {R"("model_type": "llama",)", "", "model_type: null is not supported"},
    {R"("model_type": "llama")", R"("model_type": "bloom")", "model_type"},
    {R"("hidden_size": 64)", R"("hidden_size": -64)", "hidden_size: must be a positive integer"},
    {R"("hidden_size": 64)", R"("hidden_size": 64.5)", "hidden_size: must be a positive integer"},
    {R"("hidden_size": 64)", R"("hidden_size": null)", "hidden_size: must be a positive integer"},
    {R"("hidden_size": 64,)", "", "hidden_size: must be a positive integer"},
    {R"("hidden_size": 64)", R"("hidden_size": 18446744073709551615)", "hidden_size"},
    {R"("hidden_size": 64)", R"("hidden_size": 18446744073709551616)", "hidden_size"},
    {R"("hidden_size": 64)", R"("hidden_size": 4611686018427387904)", "hidden_size"},
    {R"("hidden_size": 64)", R"("hidden_size": 2097152)", "hidden_size"},
    {R"("intermediate_size": 128)", R"("intermediate_size": 0)", "intermediate_size"},
    {R"("intermediate_size": 128)", R"("intermediate_size": [128, 128])", "intermediate_size"},
    {R"("num_hidden_layers": 2)", R"("num_hidden_layers": 1000000)", "num_hidden_layers"},
    {R"("num_hidden_layers": 2)", R"("num_hidden_layers": true)", "num_hidden_layers"},
    {R"("num_attention_heads": 4)", R"("num_attention_heads": 0)", "num_attention_heads"},
    {R"("num_key_value_heads": 2)", R"("num_key_value_heads": 3)", "num_key_value_heads"},
    {R"("num_key_value_heads": 2)", R"("num_key_value_heads": 8)", "num_key_value_heads"},
    {R"("head_dim": 16)", R"("head_dim": 15)", "head_dim"},
    {R"("head_dim": 16)", R"("head_dim": 1e9)", "head_dim"},
    {R"("vocab_size": 256)", R"("vocab_size": 0)", "vocab_size"},
    {R"("vocab_size": 256)", R"("vocab_size": 1099511627776)", "vocab_size"},
    {R"("rms_norm_eps": 1e-05)", R"("rms_norm_eps": "1e-05")", "rms_norm_eps: must be a number"},
    {R"("rms_norm_eps": 1e-05)", R"("rms_norm_eps": -1e-05)", "rms_norm_eps"},
    {R"("rms_norm_eps": 1e-05)", R"("rms_norm_eps": 1e999)", "config.json:2:"},
    {R"("rms_norm_eps": 1e-05)", R"("rms_norm_eps": NaN)", "config.json:2:"},
    {R"("rope_theta": 500000.0)", R"("rope_theta": Infinity)", "config.json:3:"},
    {R"("rope_theta": 500000.0)", R"("rope_theta": 0)", "rope_theta"},
    {R"("rope_theta": 500000.0)", R"("rope_theta": [1e4])", "rope_theta: must be a number"},
    {R"("hidden_act": "silu")", R"("hidden_act": "mish")", "hidden_act"},
    {R"("attention_bias": false)", R"("attention_bias": "no")", "attention_bias"},
    {R"("attention_dropout": 0.0)", R"("attention_dropout": 0.1)", "attention_dropout"},
    {R"("tie_word_embeddings": true)", R"("tie_word_embeddings": "yes")", "tie_word_embeddings"},
    {R"("mlp_bias": false)", R"("partial_rotary_factor": 0.5)", "partial_rotary_factor: 0.5"},
    {R"("mlp_bias": false)", R"("attn_logit_softcapping": 50.0)", "attn_logit_softcapping: unk"},
    {R"("mlp_bias": false)", R"("query_pre_attn_scalar": 256)", "query_pre_attn_scalar: unknown"},
    {R"("mlp_bias": false)", R"("logit_scale": 0.0625)", "logit_scale: unknown key"},
    {R"("mlp_bias": false)", R"("embedding_multiplier": 12.0)", "embedding_multiplier: unknown"},
    {R"("mlp_bias": false)", R"("residual_multiplier": 0.22)", "residual_multiplier: unknown"},
    {R"("mlp_bias": false)", R"("use_qk_norm": true)", "use_qk_norm: unknown key"},
    {R"("mlp_bias": false)", R"("\u001b[31m": 1)", " [31m: unknown key"},
    {R"("mlp_bias": false)", R"("hidden_size": 64)", "3:95: duplicate key 'hidden_size'"},
    {R"("mlp_bias": false)", R"("mlp_bias": )", "config.json:3:"},
    {R"("mlp_bias": false)", R"("layer_types": ["full_attention", "linear_attention"])",
     "layer_types: \"linear_attention\""},
    {R"("rope_scaling": null)", R"("rope_scaling": true)", "rope_scaling: must be an object"},
    {R"("rope_scaling": null)", R"("rope_scaling": {"rope_type": "unheard", "factor": 2.0})",
     "rope_scaling"},
    {R"("rope_scaling": null)", R"("rope_scaling": {"rope_type": "default", "fac\u007ftor": 2.0})",
     "rope_scaling: fac tor 2.0 is not supported with"},
    {R"("rope_scaling": null)", R"("rope_scaling": {"factor": "two", "rope_type": "linear"})",
     "rope_scaling"},
    {"{", "[", "config.json:1:"},
    {"\"silu\"", "\"si\xfflu\"", "not valid UTF-8"},
    {"}", "}}", "config.json:"},
    {"}", ", /* no */}", "config.json:"}};

const std::vector<Row> kMoeRows{
    {R"("num_experts": 8)", R"("num_experts": 0)", "num_experts"},
    {R"("num_experts": 8)", R"("num_experts": 1000000)", "num_experts"},
    {R"("num_experts": 8,)", "", "_experts: must be"},
    {R"("num_experts_per_tok": 2)", R"("num_experts_per_tok": 9)", "num_experts_per_tok"},
    {R"("num_experts_per_tok": 2)", R"("num_experts_per_tok": "2")", "num_experts_per_tok"},
    {R"("moe_intermediate_size": 32)", R"("moe_intermediate_size": -1)", "moe_intermediate_size"},
    {R"("norm_topk_prob": true)", R"("norm_topk_prob": 1)", "norm_topk_prob: must be true or"},
    {R"("decoder_sparse_step": 1)", R"("decoder_sparse_step": 2)", "decoder_sparse_step"},
    {R"("mlp_only_layers": [])", R"("mlp_only_layers": [0])", "mlp_only_layers"},
    {R"("mlp_only_layers": [])", R"("n_shared_experts": 1)", "n_shared_experts: unknown key"},
    {R"("mlp_only_layers": [])", R"("shared_expert_intermediate_size": 8)", "shared_expert_inter"},
    {R"("rope_type": "default")", R"("rope_type": "longrope")", "rope_parameters"}};

/// What reading the directory's config.json as part of a recipe says.
std::string config_line(const TemporaryDirectory& folder, const std::string& config) {
  spit(folder / "m" / "config.json", config);
  return message_of<ConfigError>([&] { read_recipe((folder / "from.json").string(), {}); });
}

}  // namespace

TEST_CASE("damage: config.json is refused by key or place", "[core][hugging_face][damage]") {
  test::ensure_specs();
  const TemporaryDirectory folder(fast_directory());
  fs::create_directory(folder / "m");
  spit(folder / "text.txt", std::string(4000, 'a'));
  spit(folder / "from.json", kRecipe);
  CHECK(config_line(folder, kConfig) == "(no exception)");
  CHECK(config_line(folder, kMoe) == "(no exception)");
  for (const auto& [sound, rows] : {std::pair(&kConfig, &kConfigRows), std::pair(&kMoe, &kMoeRows)})
    for (const Row& row : *rows) {
      INFO(row.from << " → " << row.to);
      check_line(config_line(folder, changed(*sound, row)), folder.path(), row.expected);
    }
  for (const size_t length : {0u, 1u, 40u, 200u})
    check_line(config_line(folder, kConfig.substr(0, length)), folder.path(), "config.json:");
}
