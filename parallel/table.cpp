#include "parallel/table.h"

#include <cmath>

#include "core/philox.h"

namespace veomni {
namespace {

/// Ids in ascending order and one gradient row for each.
struct Rows {
  at::Tensor ids;        // [n] i64
  at::Tensor gradients;  // [n, dim] f32
};

/// Sums the rows of equal ids, in the order they stand.
Rows merge(const Rows& rows) {
  auto [ids, inverse, counts] = at::_unique2(rows.ids, /*sorted=*/true, /*return_inverse=*/true);
  const int64_t count = ids.numel();
  if (count == rows.ids.numel()) {  // none twice: only the order changes
    const at::Tensor order = at::argsort(rows.ids);
    return {ids, rows.gradients.index_select(0, order)};
  }
  return {ids, at::embedding_dense_backward(rows.gradients, inverse, count, -1, false)};
}

/// The rows of all ranks, those of rank 0 first. The group carries host tensors.
Rows gather(Communicator& group, const Rows& own) {
  const int64_t size = group.size(), dim = own.gradients.size(1);
  const Rows rows{own.ids.cpu(), own.gradients.cpu()};
  at::Tensor counts = at::empty({size}, rows.ids.options());
  group.all_gather(counts, at::full({1}, rows.ids.numel(), rows.ids.options()));
  const int64_t most = counts.max().item<int64_t>();
  if (most == 0) return own;
  const at::Tensor ids = at::zeros({most}, rows.ids.options());
  const at::Tensor gradients = at::zeros({most, dim}, rows.gradients.options());
  ids.narrow(0, 0, rows.ids.numel()).copy_(rows.ids);
  gradients.narrow(0, 0, rows.ids.numel()).copy_(rows.gradients);
  at::Tensor all_ids = at::empty({size, most}, ids.options());
  at::Tensor all_gradients = at::empty({size, most, dim}, gradients.options());
  const auto ids_work = group.start_all_gather(all_ids, ids);
  const auto gradients_work = group.start_all_gather(all_gradients, gradients);
  ids_work->wait();
  gradients_work->wait();
  std::vector<at::Tensor> id_parts, gradient_parts;
  for (int64_t rank = 0; rank < size; ++rank) {
    const int64_t count = counts[rank].item<int64_t>();
    id_parts.push_back(all_ids[rank].narrow(0, 0, count));
    gradient_parts.push_back(all_gradients[rank].narrow(0, 0, count));
  }
  return {at::cat(id_parts).to(own.ids.device()),
          at::cat(gradient_parts).to(own.gradients.device())};
}

struct AdamScales {
  float decay, beta1, beta2, step_size, root_correction, eps, gradient_scale;
};

AdamScales scales_of(const kernels::AdamW& settings) {
  const double correction1 = 1 - std::pow(settings.beta1, static_cast<double>(settings.step));
  const double correction2 = 1 - std::pow(settings.beta2, static_cast<double>(settings.step));
  return {.decay = static_cast<float>(1 - settings.lr * settings.weight_decay),
          .beta1 = static_cast<float>(settings.beta1),
          .beta2 = static_cast<float>(settings.beta2),
          .step_size = static_cast<float>(settings.lr / correction1),
          .root_correction = static_cast<float>(1 / std::sqrt(correction2)),
          .eps = static_cast<float>(settings.eps),
          .gradient_scale = static_cast<float>(settings.gradient_scale)};
}

struct AdamRow {
  float* weight;
  float* exp_avg;
  float* exp_avg_sq;
  const float* gradient;
};

void adamw_row(const AdamRow& row, int64_t dim, const AdamScales& s) {
#pragma omp simd
  for (int64_t i = 0; i < dim; ++i) {
    const float g = row.gradient[i] * s.gradient_scale;
    const float m = row.exp_avg[i] + (1 - s.beta1) * (g - row.exp_avg[i]);
    const float v = s.beta2 * row.exp_avg_sq[i] + (1 - s.beta2) * g * g;
    row.exp_avg[i] = m;
    row.exp_avg_sq[i] = v;
    row.weight[i] =
        row.weight[i] * s.decay - s.step_size * m / (std::sqrt(v) * s.root_correction + s.eps);
  }
}

}  // namespace

struct Table::State {
  struct Lookup {
    at::Tensor ids;   // [n] ascending
    at::Tensor rows;  // [n, dim] leaf
  };
  at::Tensor& moment(at::Tensor& tensor) const {
    if (!tensor.defined()) tensor = at::zeros_like(weight);
    return tensor;
  }
  Rows own_rows() const;
  void adamw_cpu(const AdamScales& scales);
  void adamw_device(const AdamScales& scales);

  std::string name;
  bool frozen = false;
  Communicator* world = nullptr;  // every rank looks rows up
  at::Tensor weight, exp_avg, exp_avg_sq;
  std::vector<Lookup> lookups;
  Rows touched;
};

Table::Table(std::string name, int64_t rows, int64_t dim, double deviation,
             ParallelContext& context)
    : state_(std::make_unique<State>()) {
  TORCH_CHECK(rows >= 1 && dim >= 1, "table ", name, ": ", rows, " rows of ", dim, " values");
  const at::NoGradGuard no_grad;
  at::Tensor weight = at::empty({rows, dim}, at::kFloat);
  constexpr int64_t kGrain = 1 << 14;
  at::parallel_for(0, rows * dim, kGrain, [&](int64_t begin, int64_t end) {
    fill_normal({name, context.seed, begin, end}, deviation, weight.data_ptr<float>() + begin);
  });
  state_->frozen = is_frozen(context.groups, name);
  state_->name = std::move(name);
  state_->world = context.world;
  state_->weight = context.cuda ? weight.to(at::kCUDA) : weight;
  state_->touched = state_->own_rows();
}

Table::~Table() = default;

const std::string& Table::name() const { return state_->name; }
int64_t Table::rows() const { return state_->weight.size(0); }
int64_t Table::dim() const { return state_->weight.size(1); }
bool Table::frozen() const { return state_->frozen; }
at::Tensor& Table::weight() { return state_->weight; }
at::Tensor& Table::exp_avg() { return state_->moment(state_->exp_avg); }
at::Tensor& Table::exp_avg_sq() { return state_->moment(state_->exp_avg_sq); }
std::pair<at::Tensor, at::Tensor> Table::touched() const {
  return {state_->touched.ids, state_->touched.gradients};
}

at::Tensor Table::lookup(const at::Tensor& ids, bool touches) {
  TORCH_CHECK(ids.dim() == 1 && ids.scalar_type() == at::kLong, "table ", name(),
              ": ids must be [n] int64, got ", ids.sizes(), " ", ids.scalar_type());
  const bool differentiable = at::GradMode::is_enabled() && !frozen();
  // Ranks without ids take part in backward all the same.
  if (ids.numel() == 0)
    return at::zeros({0, dim()}, state_->weight.options()).set_requires_grad(differentiable);
  auto [unique, inverse, counts] = at::_unique2(ids, /*sorted=*/true, /*return_inverse=*/true);
  const int64_t least = unique[0].item<int64_t>(), most = unique[-1].item<int64_t>();
  TORCH_CHECK(least >= 0 && most < rows(), "table ", name(), ": id ", least < 0 ? least : most,
              " is outside [0, ", rows(), ")");
  unique = unique.to(state_->weight.device());
  inverse = inverse.to(state_->weight.device());
  at::Tensor used;
  {
    const at::NoGradGuard no_grad;
    used = state_->weight.index_select(0, unique);
  }
  if (differentiable) {
    used.set_requires_grad(true);
    if (touches) state_->lookups.push_back({unique, used});
  }
  return at::embedding(used, inverse);
}

Rows Table::State::own_rows() const {
  std::vector<at::Tensor> ids, gradients;
  for (const auto& lookup : lookups) {
    if (!lookup.rows.grad().defined()) continue;
    ids.push_back(lookup.ids);
    gradients.push_back(lookup.rows.grad());
  }
  if (ids.empty()) {
    return {at::empty({0}, weight.options().dtype(at::kLong)),
            at::empty({0, weight.size(1)}, weight.options())};
  }
  return ids.size() == 1 ? Rows{ids[0], gradients[0]} : merge({at::cat(ids), at::cat(gradients)});
}

void Table::reduce_gradients() {
  if (frozen()) return;
  const at::NoGradGuard no_grad;
  state_->touched = state_->own_rows();
  state_->lookups.clear();
  if (state_->world == nullptr || state_->world->size() == 1) return;
  state_->touched = merge(gather(*state_->world, state_->touched));
}

double Table::gradient_sum_of_squares() const {
  const at::Tensor& gradients = state_->touched.gradients;
  if (gradients.numel() == 0) return 0;
  return gradients.to(at::kDouble).square_().sum().item<double>();
}

void Table::State::adamw_cpu(const AdamScales& scales) {
  const int64_t dim = weight.size(1);
  const at::Tensor gradients = touched.gradients.contiguous();
  const int64_t* ids = touched.ids.const_data_ptr<int64_t>();
  float* weights = weight.data_ptr<float>();
  float* averages = moment(exp_avg).data_ptr<float>();
  float* squares = moment(exp_avg_sq).data_ptr<float>();
  const float* gradient = gradients.const_data_ptr<float>();
  const int64_t grain = std::max<int64_t>(1, 8192 / dim);
  at::parallel_for(0, touched.ids.numel(), grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t start = ids[row] * dim;
      adamw_row({weights + start, averages + start, squares + start, gradient + row * dim}, dim,
                scales);
    }
  });
}

void Table::State::adamw_device(const AdamScales& s) {
  const at::Tensor& ids = touched.ids;
  const at::Tensor g = touched.gradients * s.gradient_scale;
  const at::Tensor m = moment(exp_avg).index_select(0, ids).lerp_(g, 1 - s.beta1);
  const at::Tensor v =
      moment(exp_avg_sq).index_select(0, ids).mul_(s.beta2).addcmul_(g, g, 1 - s.beta2);
  const at::Tensor w = weight.index_select(0, ids).mul_(s.decay);
  w.addcdiv_(m, v.sqrt().mul_(s.root_correction).add_(s.eps), -s.step_size);
  exp_avg.index_copy_(0, ids, m);
  exp_avg_sq.index_copy_(0, ids, v);
  weight.index_copy_(0, ids, w);
}

void Table::adamw(const kernels::AdamW& settings) {
  const at::NoGradGuard no_grad;
  const AdamScales scales = scales_of(settings);
  if (state_->touched.ids.numel() > 0) {
    state_->weight.is_cpu() ? state_->adamw_cpu(scales) : state_->adamw_device(scales);
  }
  forget();
}

void Table::sgd(double lr, double gradient_scale) {
  const at::NoGradGuard no_grad;
  state_->weight.index_add_(0, state_->touched.ids, state_->touched.gradients,
                            -lr * gradient_scale);
  forget();
}

void Table::forget() {
  state_->lookups.clear();
  state_->touched = state_->own_rows();
}

}  // namespace veomni
