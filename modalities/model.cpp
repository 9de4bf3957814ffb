// T tokens, D hidden size, V text vocabulary, n targets of a head
#include "modalities/model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "kernels/embedding.h"
#include "modalities/assemble.h"
#include "modalities/base/transformer.h"
#include "modalities/decoder.h"
#include "modalities/encoder.h"
#include "modalities/loss_terms.h"
#include "modalities/model_flops.h"
#include "modalities/parameter_index.h"
#include "modalities/table_parameters.h"
#include "modalities/task_heads.h"

namespace veomni {
namespace {

class OmniModel : public Model {
 public:
  OmniModel(const Recipe& recipe, int64_t vocab_size, ParallelContext& context)
      : recipe_(recipe),
        context_(context),
        vocab_size_(vocab_size),
        terms_(loss_terms(recipe)),
        specs_(describe_base(recipe.base, vocab_size_, special_token_count(recipe.encoders.size()),
                             learned_terms(terms_))),
        root_(specs_[0].name, specs_[0].parameters, context),
        transformer_(recipe.base, {specs_.begin() + 1, specs_.end()}, context) {
    BuildContext build{recipe_, base_sizes(recipe, vocab_size_), context, {}};
    for (const auto& table : recipe.tables) {
      tables_.push_back(
          std::make_unique<Table>("tables." + table.name, table.rows, table.dim, 0.1, context));
      build.tables[table.name] = tables_.back().get();
    }
    for (const auto& part : recipe.encoders)
      encoders_.push_back(encoders().make(part.type, part, build));
    for (const auto& part : recipe.decoders) decoder_ = decoders().make(part.type, part, build);
    heads_ = std::make_unique<TaskHeads>(build);
    collect_units();
  }

  const std::vector<LossTerm>& losses() const override { return terms_; }

  Output forward(const Batch& batch, const ForwardOptions& options) override {
    const Pass pass{options.train, recipe_.train.dropout, options.noise_seed, options.probe};
    auto root = root_.enter();
    RoutingSums routing;
    const auto encoded = encode(batch, pass, options.use);
    const auto hidden = hidden_states(root, encoded, batch, pass, &routing);
    Objective objective(terms_, options, log_variances(root), hidden.device());
    for (const auto& piece : encoded) objective.touch(piece);
    if (routing.balance.defined()) {
      objective.add("router_balance", routing.balance, options.step_tokens);
      objective.add("router_z", routing.z, options.step_tokens);
    }
    Output out;
    if (options.use.text) decode_text(root, hidden, batch, objective, out);
    heads_->run(hidden, batch, pass, objective, out, options.use);
    // Text, where any rank has some, is decoded by all and gives hidden its gradient.
    const auto untouched = options.use.text ? at::Tensor() : hidden;
    const auto leaving = root.leave(options.train ? objective.total(untouched) : hidden);
    if (options.train) out.objective = leaving;
    out.sums = objective.sums();
    return out;
  }

  at::Tensor next_token_logits(const Batch& batch, KeyValueCache* cache,
                               const std::vector<int64_t>& slots) override {
    const at::NoGradGuard no_gradient;
    auto root = root_.enter();
    std::optional<CachedTexts> texts;
    if (cache != nullptr) texts.emplace(*cache, slots, batch.cu_seqlens);
    PartUse use;
    for (const auto& input : batch.encoders) use.encoders.push_back(!input.arrays.empty());
    const auto hidden =
        hidden_states(root, encode(batch, {}, use), batch, {}, nullptr, texts ? &*texts : nullptr);
    if (texts) texts->advance();
    const auto last = batch.cu_seqlens.narrow(0, 1, batch.cu_seqlens.size(0) - 1).to(at::kLong) - 1;
    const auto logits = decoder_->lm_embed(hidden.index_select(0, last.to(hidden.device())),
                                           root[token_weight_index()]);
    root.leave(logits);
    return logits;
  }

  void begin_step(const PartUse& use) override {
    for (auto* unit : units_) {
      unit->zero_gradient();
      unit->shard().used = true;
    }
    for (size_t e = 0; e < encoders_.size(); ++e) {
      for (auto* unit : encoders_[e]->units()) unit->shard().used = use.encoders[e];
    }
    heads_->mark_used(use);
    if (transformer_.expert_counts().defined()) transformer_.expert_counts().zero_();
  }

  void reduce_gradients() override {
    for (auto* unit : units_) {
      if (unit->shard().used) unit->reduce_gradients();
    }
    for (auto* table : all_tables()) table->reduce_gradients();
  }

  std::vector<Shard*> shards() override {
    std::vector<Shard*> shards;
    for (auto* unit : units_) shards.push_back(&unit->shard());
    return shards;
  }

  std::vector<SparseParameters*> tables() override {
    std::vector<SparseParameters*> tables;
    for (auto& table : table_parameters_) tables.push_back(table.get());
    return tables;
  }

  std::map<std::string, at::Tensor> buffers() override {
    std::map<std::string, at::Tensor> buffers;
    const auto add = [&](const char* name, const at::Tensor& buffer) {
      if (buffer.defined()) buffers[name] = buffer;
    };
    add("expert_fractions", transformer_.expert_fractions());
    add("router_bias", transformer_.router_bias());
    return buffers;
  }

  void finish_step() override {
    auto& counts = transformer_.expert_counts();
    if (!counts.defined()) return;
    auto all = counts.cpu();  // the world carries host tensors
    context_.world->all_reduce(all);
    expert_loads_ = all;
    const auto choices = all.sum(1, true).clamp_min(1);
    transformer_.move_router_bias(all);
    transformer_.expert_fractions().copy_(all / choices *
                                          static_cast<double>(recipe_.base.num_experts_per_tok));
  }

  at::Tensor expert_loads() const override { return expert_loads_; }

  double flops(const Batch& batch) const override { return flops_->of(batch); }

  int64_t parameter_count() const override { return index_.element_count(); }
  int64_t frozen_count() const override { return index_.frozen_count(); }
  at::Tensor full_parameter(const std::string& name) override { return index_.parameter(name); }
  at::Tensor full_gradient(const std::string& name) override { return index_.gradient(name); }
  std::vector<std::string> parameter_names() const override { return index_.names(); }

 private:
  void collect_units() {
    for (auto& encoder : encoders_) {
      for (auto* unit : encoder->units()) units_.push_back(unit);
    }
    const bool encoders_train = trains(units_, all_tables());
    units_.insert(units_.begin(), &root_);
    for (auto* unit : transformer_.units()) units_.push_back(unit);
    for (auto* unit : heads_->units()) units_.push_back(unit);
    Unit::chain(units_);
    for (auto* table : all_tables())
      table_parameters_.push_back(std::make_unique<TableParameters>(*table));
    index_ = ParameterIndex(units_, all_tables());
    auto base = transformer_.units();
    base.insert(base.begin(), &root_);
    flops_.emplace(recipe_.base, specs_, base, encoders_train);
  }

  std::vector<Table*> all_tables() const {
    std::vector<Table*> all;
    for (const auto& table : tables_) all.push_back(table.get());
    for (const auto& encoder : encoders_) {
      for (auto* table : encoder->own_tables()) all.push_back(table);
    }
    return all;
  }

  /// Place of a parameter in the root unit's list.
  size_t root_index(const std::string& name) const {
    const auto& parameters = specs_[0].parameters;
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (parameters[i].name == name) return i;
    }
    throw Error(fmt::format("model: no parameter '{}'", name));
  }
  size_t token_weight_index() const {
    return root_index(recipe_.base.tie_word_embeddings ? "model.embed_tokens.weight"
                                                       : "lm_head.weight");
  }
  at::Tensor log_variances(const UnitUse& root) const {
    return learned_terms(terms_) > 0 ? root[root_index("task_log_variances")] : at::Tensor();
  }

  std::vector<at::Tensor> encode(const Batch& batch, const Pass& pass, const PartUse& use) {
    std::vector<at::Tensor> encoded(encoders_.size());
    for (size_t e = 0; e < encoders_.size(); ++e) {
      if (e >= use.encoders.size() || !use.encoders[e]) continue;
      const auto& input = batch.encoders[e];
      encoded[e] = encoders_[e]->lm_encode(input, pass);
      pass.look("encoders." + recipe_.encoders[e].name, encoded[e]);
      if (input.send_counts.empty()) continue;  // nobody shares this encoder's work
      const CommUnit counted(context_.ledger, "encoders." + recipe_.encoders[e].name);
      const auto out = encoded[e].index_select(0, input.send_rows.to(encoded[e].device()));
      auto& group = input.balanced ? *context_.encoders : *context_.sequence;
      encoded[e] =
          exchange_rows(group, out, {input.send_counts, input.receive_counts}, context_.ledger);
    }
    return encoded;
  }

  /// Embeddings of text and special tokens, encoders' outputs in their places, blocks, final norm: [T, D].
  at::Tensor hidden_states(const UnitUse& root, const std::vector<at::Tensor>& encoded,
                           const Batch& batch, const Pass& pass, RoutingSums* routing,
                           CachedTexts* cache = nullptr) {
    std::vector<at::Tensor> sources;
    if (vocab_size_ > 0) sources.push_back(root[root_index("model.embed_tokens.weight")]);
    sources.push_back(root[root_index("model.special_tokens.weight")]);
    auto places = batch.ids;
    auto next = vocab_size_ + special_token_count(recipe_.encoders.size());
    for (size_t e = 0; e < encoded.size(); ++e) {
      if (!encoded[e].defined()) continue;
      // Also without rows here: whether the base model runs backward must not differ between ranks.
      sources.push_back(encoded[e]);
      const auto& rows = batch.encoders[e].rows;
      if (rows.size(0) > 0) {
        if (places.is_same(batch.ids)) places = places.clone();
        places.index_copy_(0, rows, at::arange(next, next + rows.size(0), at::kLong));
      }
      next += encoded[e].size(0);
    }
    const auto x = add_positions(root, assemble_rows(places, sources), batch);
    pass.look("model.embed_tokens", x);
    TokenRow row{batch.positions.to(x.device()), batch.cu_seqlens, batch.noise_keys, cache};
    std::optional<TokenShare> share;
    if (batch.place.size > 1)
      row.share =
          &share.emplace(TokenShare{*context_.sequence, batch.place.counts(batch.row_tokens()),
                                    context_.overlap, context_.ledger});
    const auto stream = transformer_.forward(x, row, pass, routing);
    const auto hidden = final_norm(root, stream);
    pass.look("model.norm", hidden);
    return hidden;
  }

  at::Tensor final_norm(const UnitUse& root, const Stream& stream) const {
    const bool has_bias = block_config(recipe_.base, 0).norm == NormType::layer_norm;
    const auto bias = has_bias ? root[root_index("model.norm.bias")] : at::Tensor();
    return add_norm(stream, root[root_index("model.norm.weight")], bias, recipe_.base.norm_eps)
        .second;
  }

  /// Adds learned positions where the family has them. A sample longer than their table has none.
  at::Tensor add_positions(const UnitUse& root, const at::Tensor& x, const Batch& batch) const {
    if (recipe_.base.rope_theta > 0) return x;
    const auto& table = root[root_index("model.embed_positions.weight")];
    const auto* begin = batch.cu_seqlens.const_data_ptr<int32_t>();
    for (int64_t s = 0; s + 1 < batch.cu_seqlens.numel(); ++s)
      require<ConfigError>(begin[s + 1] - begin[s] <= table.size(0),
                           "model.base.max_position_embeddings: a sample has {} tokens, but the "
                           "model has {} positions; make samples shorter",
                           begin[s + 1] - begin[s], table.size(0));
    const auto own = batch.positions.narrow(0, batch.place.begin(batch.row_tokens()), x.size(0));
    return x + kernels::embedding(table, own.contiguous().to(table.device()));
  }

  void decode_text(const UnitUse& root, const at::Tensor& hidden, const Batch& batch,
                   Objective& objective, Output& out) {
    const bool all = batch.text_labels == batch.token_count();
    const auto rows = all ? at::Tensor() : (batch.labels != kIgnore).nonzero().squeeze(1);
    const auto pick = [&](const at::Tensor& x) {
      return all ? x : x.index_select(0, rows.to(x.device()));
    };
    const auto weights = pick(batch.label_weights).to(hidden.device());
    const auto loss = decoder_->lm_head({.hidden = pick(hidden),
                                         .token_weight = root[token_weight_index()],
                                         .labels = pick(batch.labels).to(hidden.device()),
                                         .weights = weights,
                                         .scale = objective.scale("text")});
    objective.add_scaled("text", loss.scaled, loss.losses * weights);
    if (objective.training()) return;
    const auto spread = [&](const at::Tensor& x) {
      return all ? x
                 : at::zeros({batch.token_count()}, x.options())
                       .index_copy(0, rows.to(x.device()), x);
    };
    out.text_losses = spread(loss.losses);
    out.text_correct = spread(loss.correct);
  }

  const Recipe& recipe_;
  ParallelContext& context_;
  int64_t vocab_size_;
  std::vector<LossTerm> terms_;
  std::vector<UnitSpec> specs_;
  Unit root_;
  Transformer transformer_;
  std::vector<std::unique_ptr<Table>> tables_;
  std::vector<std::unique_ptr<Encoder>> encoders_;
  std::unique_ptr<Decoder> decoder_;
  std::unique_ptr<TaskHeads> heads_;
  std::vector<Unit*> units_;
  std::vector<std::unique_ptr<SparseParameters>> table_parameters_;
  ParameterIndex index_;
  std::optional<ModelFlops> flops_;
  at::Tensor expert_loads_;
};

}  // namespace

std::unique_ptr<Model> build_model(const Recipe& recipe, int64_t vocab_size,
                                   ParallelContext& context) {
  context.groups = recipe.train.groups;
  return std::make_unique<OmniModel>(recipe, vocab_size, context);
}

}  // namespace veomni
