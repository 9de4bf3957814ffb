// Tabular features: the columns of a row side by side through a small network into one token (Covington et al. 2016;
// Naumov et al. 2019, arXiv:1906.00091), and one token for each element of a list (a behaviour sequence).
// R records, C categorical columns, D hidden size of the base model
#include "modalities/encoders/features.h"

#include <ATen/ATen.h>

#include "kernels/linear.h"
#include "modalities/base/dropout.h"
#include "modalities/encoders/features_preprocess_spec.h"
#include "modalities/encoders/features_spec.h"
#include "parallel/table.h"

namespace veomni {
namespace {

class Features : public Encoder {
 public:
  Features(const PartConfig& config, BuildContext& context)
      : name_("encoders." + config.name),
        layout_(features_layout(config)),
        layers_(config.keys.at("num_hidden_layers").get<size_t>()),
        dropout_(config.keys.at("dropout").get<double>()),
        unit_(name_, describe_features(config, context.sizes)[0].parameters, context.parallel) {
    for (const auto& column : layout_.categorical)
      column_tables_.push_back(table(column.table, config, context));
    for (const auto& column : layout_.lists)
      list_tables_.push_back(table(column.table, config, context));
  }

  at::Tensor lm_encode(const EncoderInput& input, const Pass& pass) override {
    auto weights = unit_.enter();
    auto out = rows(weights, input, pass);
    if (!layout_.lists.empty()) out = with_lists(weights, out, input);
    return weights.leave(out);
  }

  std::vector<Unit*> units() override { return {&unit_}; }
  std::vector<Table*> own_tables() override {
    return own_table_ ? std::vector<Table*>{own_table_.get()} : std::vector<Table*>{};
  }

 private:
  /// A shared table by name, or the encoder's own, made at its first use.
  Table* table(const std::string& name, const PartConfig& config, BuildContext& context) {
    if (!name.empty() && name != config.name) return context.tables.at(name);
    if (!own_table_) {
      const auto spec = features_own_table(config).value();
      own_table_ = std::make_unique<Table>(spec.name, spec.shape[0], spec.shape[1], spec.init.scale,
                                           context.parallel);
    }
    return own_table_.get();
  }

  /// One lookup a table: ids [R, C] → [R, Σ dims of the columns], columns in order.
  at::Tensor embed_columns(const EncoderInput& input) {
    const at::Tensor& ids = input.arrays[1];
    std::vector<at::Tensor> pieces(column_tables_.size());
    std::map<Table*, std::vector<int64_t>> columns;
    for (size_t c = 0; c < column_tables_.size(); ++c) {
      columns[column_tables_[c]].push_back(static_cast<int64_t>(c));
    }
    for (auto& [source, members] : columns) {
      const auto count = static_cast<int64_t>(members.size());
      const auto chosen =
          count == ids.size(1) ? ids : ids.index_select(1, at::tensor(members, at::kLong));
      const auto found = source->lookup(chosen.reshape({-1}), !input.dummy)
                             .view({ids.size(0), count * source->dim()});
      if (columns.size() == 1) return found;
      for (int64_t i = 0; i < count; ++i) {
        pieces[members[i]] = found.narrow(1, i * source->dim(), source->dim());
      }
    }
    return at::cat(pieces, 1);
  }

  at::Tensor rows(const UnitUse& weights, const EncoderInput& input, const Pass& pass) {
    auto x = input.arrays[0];
    if (!column_tables_.empty()) {
      const auto embedded = embed_columns(input);
      x = x.size(1) == 0 ? embedded : at::cat({x.to(embedded.device()), embedded}, 1);
    }
    x = x.to(weights[0].options());
    Pass inner = pass;
    inner.dropout = dropout_;
    for (size_t layer = 0; layer < layers_; ++layer) {
      x = at::silu(kernels::linear(x, weights[2 * layer], weights[2 * layer + 1]));
      x = residual_dropout(x, row_keys(input), inner, fmt::format("{}.layers.{}", name_, layer));
    }
    return kernels::linear(x, weights[2 * layers_], weights[2 * layers_ + 1]);
  }

  /// The noise key of each record's row token.
  static at::Tensor row_keys(const EncoderInput& input) {
    if (input.noise_keys.size(0) == static_cast<int64_t>(input.token_counts.size()))
      return input.noise_keys;
    return input.noise_keys.index_select(0, first_tokens(input));
  }

  static at::Tensor first_tokens(const EncoderInput& input) {
    auto first = at::empty({static_cast<int64_t>(input.token_counts.size())}, at::kLong);
    int64_t at = 0;
    for (size_t s = 0; s < input.token_counts.size(); at += input.token_counts[s++]) {
      first.mutable_data_ptr<int64_t>()[s] = at;
    }
    return first;
  }

  /// Puts each record's row token in front of its list elements: [R + L, D].
  at::Tensor with_lists(const UnitUse& weights, const at::Tensor& rows, const EncoderInput& input) {
    const auto ids = input.arrays[2].reshape({-1}), columns = input.arrays[3].reshape({-1});
    auto elements =
        weights[2 * layers_ + 2 + layout_.lists.size()].index_select(0, columns.to(rows.device()));
    for (size_t list = 0; list < layout_.lists.size(); ++list) {
      const auto mine = (columns == static_cast<int64_t>(list)).nonzero().squeeze(1);
      const auto embedded = list_tables_[list]
                                ->lookup(ids.index_select(0, mine), !input.dummy)
                                .to(rows.scalar_type());
      elements = elements.index_add(0, mine.to(rows.device()),
                                    kernels::linear(embedded, weights[2 * layers_ + 2 + list], {}));
    }
    return at::cat({rows, elements}).index_select(0, token_order(input).to(rows.device()));
  }

  static at::Tensor token_order(const EncoderInput& input) {
    const auto records = static_cast<int64_t>(input.token_counts.size());
    std::vector<int64_t> order;
    int64_t element = records;
    for (int64_t r = 0; r < records; ++r) {
      order.push_back(r);
      for (int64_t t = 1; t < input.token_counts[r]; ++t) order.push_back(element++);
    }
    return at::tensor(order, at::kLong);
  }

  std::string name_;
  FeaturesLayout layout_;
  size_t layers_;
  double dropout_;
  Unit unit_;
  std::unique_ptr<Table> own_table_;
  std::vector<Table*> column_tables_, list_tables_;
};

}  // namespace

std::unique_ptr<Encoder> make_features(const PartConfig& config, BuildContext& context) {
  return std::make_unique<Features>(config, context);
}

}  // namespace veomni
