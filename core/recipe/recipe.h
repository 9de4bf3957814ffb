#pragma once
// A recipe, checked and with every default filled in (design: section 5). Plain aggregates; never
// changed after reading.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/recipe/groups.h"
#include "core/recipe/spec.h"

namespace veomni {

/// Rotary positions for long contexts; names are those of Hugging Face's rope_scaling (kernels/rope.h).
struct RopeScalingConfig {
  std::string rope_type = "default";  ///< default | linear | dynamic | llama3 | yarn
  double factor = 1;
  double original_max_position_embeddings = 0;       ///< llama3, yarn
  double low_freq_factor = 1, high_freq_factor = 4;  ///< llama3
  double beta_fast = 32, beta_slow = 1;              ///< yarn
  double attention_factor = 0;                       ///< yarn; 0: from factor and the next two
  double mscale = 0, mscale_all_dim = 0;             ///< yarn; both or neither
  bool truncate = true;                              ///< yarn
};

/// The Transformer or MoE base model; names are those of Hugging Face's config.json.
struct BaseConfig {
  std::string family = "llama";  ///< core/recipe/family.h
  int64_t hidden_size = 0, intermediate_size = 0, num_hidden_layers = 0;
  int64_t num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0;
  int64_t vocab_size = 0;               ///< 0: as many as the tokenizer has
  int64_t max_position_embeddings = 0;  ///< longest sample; 0: not said. gpt2: rows of a table
  int64_t num_experts = 0, num_experts_per_tok = 0,
          moe_intermediate_size = 0;  ///< num_experts 0: dense
  int64_t sliding_window = 0;         ///< tokens that each sees, itself included; 0: all before it
  std::vector<std::string>
      layer_types;  ///< full_attention | sliding_attention, one a layer; empty: all slide
  double rope_theta = 10000.0, initializer_range = 0.02;
  double rotary_pct = 1;  ///< gpt_neox: the part of each head that rotates
  RopeScalingConfig rope_scaling;
  /// Frequencies of each head that turn by temporal, height and width position (qwen2_5_vl); empty: one position
  std::vector<int64_t> mrope_section;
  double norm_eps = 1e-6;  ///< rms_norm_eps or layer_norm_eps
  std::string hidden_act = "silu";
  bool attention_bias = false;  ///< bias on q, k and v; on o too unless the family says no
  bool mlp_bias = false;
  bool qk_norm = false;                ///< RMSNorm on each head of q and k (qwen3)
  bool use_parallel_residual = false;  ///< gpt_neox
  bool tie_word_embeddings = true;
  bool norm_topk_prob = true;  ///< the k chosen router probabilities are divided by their sum
  double router_aux_loss_coef = 0.001, router_z_loss_coef = 0.0;
  std::string balance =
      "step";  ///< step: last step's global fractions | pack: the pack's own (Hugging Face's value)
  /// What an expert's bias in the choice of experts changes by after each step, towards an even load (Wang et al. 2024,
  /// arXiv:2408.15664); 0: there is no bias
  double router_bias_update_rate = 0;
  bool router_force_balance =
      false;  ///< for benchmarks: experts take turns, whatever the router says
};

struct TableConfig {
  std::string name;
  int64_t rows = 0, dim = 0;
  std::string hash;  ///< "xxh64": any value hashes into rows | "": values are numbered by a
                     ///< vocabulary, fitted on the training rows
};

struct SegmentConfig {
  std::string part;   ///< "text" or the name of an encoder
  std::string field;  ///< column or field; empty where the encoder names its own columns (features)
  bool learn = false;  ///< text: train on predicting these tokens
};

struct TargetConfig {
  std::string head;   ///< key under model.heads
  std::string field;  ///< column of the label
  Json keys;  ///< the whole object form, for example {"field": "income", "positive": "50000+."}
};

struct Range {
  double begin = 0, end = 1;  ///< fractions of a source in file order, [begin, end)
};

struct SourceConfig {
  std::string name, format;
  std::vector<std::string> paths;  ///< absolute
  Json keys;  ///< the whole object, resolved: format options such as labels, header, delimiter,
              ///< sample_tokens
  double weight = 1;
  Range train{0, 1};
  std::optional<Range> eval;
  std::vector<SegmentConfig> sample;
  std::vector<TargetConfig> targets;
  std::string sample_weight, group;  ///< columns; empty: none
};

struct OptimizerConfig {
  std::string type = "adamw";  ///< adamw | sgd
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.1, clip = 1.0;
  double momentum = 0;     ///< sgd
  bool decay_all = false;  ///< also norms, biases and embeddings
};

struct ScheduleConfig {
  std::string type = "cosine";  ///< constant | linear | cosine | wsd
  int64_t warmup = 0;           ///< steps
  int64_t decay = 0;            ///< wsd: steps of the final decay
  double final = 0.1;           ///< last learning rate as a fraction of lr
};

struct TrainConfig {
  int64_t steps = 0;
  double epochs = 0;  ///< 0: steps decide
  int64_t packs = 0, pack_tokens = 0;
  OptimizerConfig optimizer;
  std::vector<GroupConfig> groups;
  ScheduleConfig schedule;
  std::string precision = "fp32";      ///< fp32 | bf16
  std::string device = "cpu";          ///< cpu | cuda
  std::string task_weights = "fixed";  ///< fixed | uncertainty (Kendall et al. 2018)
  double dropout = 0;                  ///< on residual branches and table rows, training only
  int64_t workers = 1;                 ///< data threads a rank
};

struct EvalConfig {
  int64_t every = 0;    ///< steps; 0: only at the end
  int64_t samples = 0;  ///< at most so many a source in the runs between; 0: all. The last
                        ///< evaluation always sees all
};

struct ParallelConfig {
  int64_t replicate = 1, shard = 0;  ///< shard 0: all ranks that the others leave
  int64_t sequence = 1, expert = 1;
  bool overlap = true;   ///< exchanges of tokens travel while something else is computed
  int64_t prefetch = 1;  ///< units gathered ahead of the one that computes
  double timeout = 600;  ///< seconds that a collective waits for the other ranks
  std::string reshard_after_forward = "auto";         ///< auto | always | never
  std::string reduce_gradients = "each_micro_batch";  ///< each_micro_batch | each_step
  bool balance_encoders = true;  ///< segments may be encoded by ranks that have fewer of them
};

struct CheckpointConfig {
  int64_t every = 0, keep = 2;
};

struct Recipe {
  std::string name;
  int64_t seed = 1;
  std::string from;  ///< absolute path of the Hugging Face directory with the base model, or ""
  BaseConfig base;
  std::vector<TableConfig> tables;
  std::vector<PartConfig> encoders, decoders, heads;
  std::map<std::string, double>
      loss_weights;       ///< head or decoder name → fixed weight (1 by default)
  std::string tokenizer;  ///< characters | bytes | absolute path | "" when there is no text
  std::vector<SourceConfig> sources;
  TrainConfig train;
  EvalConfig eval;
  ParallelConfig parallel;
  CheckpointConfig checkpoint;
  std::string output;  ///< absolute path of the run directory
  std::string path;    ///< absolute path of the recipe file
  Json resolved;       ///< the whole recipe with every default, as written to the run directory
};

/// What parts are told of the base model and tables when they describe themselves.
BaseSizes base_sizes(const Recipe& recipe, int64_t vocab_size);

/// Reads, applies `key=value` overrides by dotted path, fills defaults, checks ranges and cross
/// references. Throws ConfigError: `recipe.json:12:9: train.stepz: unknown key; did you mean
/// 'steps'?`
Recipe read_recipe(const std::string& path, const std::vector<std::string>& overrides);

/// The recipe of a run or checkpoint from its resolved JSON text.
Recipe parse_recipe(const std::string& text, const std::string& path,
                    const std::vector<std::string>& overrides);

/// The JSON Schema (draft 2020-12) of recipes, made of the same tables as the reader.
Json recipe_schema();

}  // namespace veomni
