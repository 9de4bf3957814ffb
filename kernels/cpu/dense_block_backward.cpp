#include <algorithm>
#include <optional>

#include "kernels/cpu/dense_block_parts.h"
#include "kernels/cpu/phases.h"

namespace veomni::kernels::cpu {
namespace {

/// gradient [O, I] = d_yᵀ · x of y = x · weightᵀ, in strips of rows that are items of their own. x is packed while the
/// rows that are made again are in the caches: it exists nowhere else.
struct WeightGradient {
  static constexpr int64_t kStripRows = 64;
  const at::Tensor& d_y;
  at::Tensor gradient;
  PackedMatrix x;

  WeightGradient(const at::Tensor& d_outputs, at::Tensor memory)
      : d_y(d_outputs), gradient(std::move(memory)), x(d_outputs.size(0), gradient.size(1)) {}
  int64_t strips() const { return (gradient.size(0) + kStripRows - 1) / kStripRows; }
  void strip(int64_t s, float* scratch) const {
    const int64_t begin = s * kStripRows, rows = std::min(kStripRows, gradient.size(0) - begin);
    x.multiply(d_y.data_ptr<float>() + begin, 1, d_y.stride(0), rows, row(gradient, begin), false,
               scratch);
  }
};

class Backward {
 public:
  Backward(const at::Tensor& d_middle, const at::Tensor& d_fed, const DenseBlockWeights& weights,
           const AttentionInputs& attention, const DenseBlockShape& shape,
           const DenseBlockKept& kept, DenseBlockWanted wanted)
      : sizes_(kept.middle, weights),
        pieces_(attention.cu_seqlens.const_data_ptr<int32_t>(), attention.samples(), sizes_.tokens),
        d_middle_(d_middle),
        d_fed_(d_fed),
        weights_(weights),
        kept_(kept),
        qkv_(weights.qkv),
        output_(weights.output),
        gate_up_(weights.gate_up),
        down_(weights.down),
        d_gate_up_(kept.gate_up),
        d_qkv_(kept.qkv),
        d_attended_(at::empty_like(kept.middle)),
        d_mixed_(at::empty_like(kept.mixed)),
        d_input_(at::empty_like(kept.middle)),
        norm_shares_(at::empty({2, pieces_.count(), sizes_.dim}, at::kFloat)),
        norm_gradients_{wanted.memory_for(weights.input_norm),
                        wanted.memory_for(weights.post_norm)} {
    if (wanted.down) down_gradient_.emplace(d_fed, wanted.memory_for(weights.down));
    if (wanted.gate_up) gate_up_gradient_.emplace(d_gate_up_, wanted.memory_for(weights.gate_up));
    if (wanted.output) output_gradient_.emplace(d_attended_, wanted.memory_for(weights.output));
    if (wanted.qkv) qkv_gradient_.emplace(d_qkv_, wanted.memory_for(weights.qkv));
    attention.clear_rest(d_qkv_);
    attention_ = attention.args(shape.attention);
    attention_.out = kept.mixed.data_ptr();
    attention_.softmax = kept.softmax.data_ptr<float>();
    attention_.d_out = d_mixed_.data_ptr();
    attention_.d_qkv = d_qkv_.data_ptr();
    if (weights.q_norm.defined() || weights.k_norm.defined()) {
      head_shares_ =
          at::empty({attention.samples() * shape.attention.key_value_heads, 2, attention_.head_dim},
                    at::kFloat);
      attention_.d_weights = head_shares_.data_ptr<float>();
    }
    attention_scratch_ = loops().attention_scratch(attention.longest(), attention_.head_dim);
  }

  DenseBlockGradients run() {
    PackPhase pack = pack_weights();
    std::vector<std::pair<const WeightGradient*, int64_t>> strips;
    for (const auto* gradient :
         {&gate_up_gradient_, &down_gradient_, &qkv_gradient_, &output_gradient_}) {
      if (!*gradient) continue;
      for (int64_t s = 0; s < (*gradient)->strips(); ++s) strips.emplace_back(&**gradient, s);
    }
    auto phases = input_phases(pack);
    const auto matrices = static_cast<int64_t>(strips.size());
    phases.push_back({matrices + 2, [&](int64_t i, float* room) {
                        if (i >= matrices) return sum_norm_shares(i - matrices);
                        const auto& [gradient, strip] = strips[static_cast<size_t>(i)];
                        gradient->strip(strip, room);
                      }});
    run_phases(phases, scratch());
    const auto gradient_of = [](const std::optional<WeightGradient>& matrix) {
      return matrix ? matrix->gradient : at::Tensor();
    };
    const auto head_norm = [&](const at::Tensor& weight, int64_t which) {
      return weight.defined() ? head_shares_.select(1, which).sum(0) : at::Tensor();
    };
    return {d_input_,
            {.input_norm = norm_gradients_[0],
             .qkv = gradient_of(qkv_gradient_),
             .qkv_bias = weights_.qkv_bias.defined() ? d_qkv_.sum(0) : at::Tensor(),
             .q_norm = head_norm(weights_.q_norm, 0),
             .k_norm = head_norm(weights_.k_norm, 1),
             .output = gradient_of(output_gradient_),
             .post_norm = norm_gradients_[1],
             .gate_up = gradient_of(gate_up_gradient_),
             .down = gradient_of(down_gradient_)}};
  }

 private:
  /// Floats for one piece of any of the rows that are made on the way.
  int64_t room() const { return RowPieces::kRows * std::max(sizes_.dim, sizes_.ffn); }
  int64_t scratch() const { return std::max(attention_scratch_, kMatrixScratch + 2 * room()); }

  PackPhase pack_weights() const {
    PackPhase pack;
    for (const PackedMatrix* matrix : {&qkv_, &output_, &gate_up_, &down_}) pack.add(*matrix);
    return pack;
  }

  std::vector<Phase> input_phases(const PackPhase& pack) const {
    const RowPieces::Steps steps{
        [this](int64_t piece, float* room) { before_attention(piece, room); },
        [this](int64_t piece, float* room) { after_attention(piece, room); },
        [this](int64_t sample, int64_t head, float* room) {
          loops().attention_backward(attention_, sample, head, room);
        },
        attention_.key_value_heads};
    auto phases = pieces_.phases(steps, at::get_num_threads());
    phases.insert(phases.begin(), Phase{pack.items(), [&pack](int64_t i, float*) { pack.run(i); }});
    return phases;
  }

  /// From the gradient of both outputs to that of attention's output.
  void before_attention(int64_t piece, float* scratch) const {
    const int64_t begin = pieces_.begin(piece), rows = pieces_.rows(piece);
    float *aside = scratch + kMatrixScratch, *again = aside + room();
    prefetch(kept_.gate_up, begin, rows);
    down_.multiply(row(d_fed_, begin), sizes_.dim, 1, rows, aside, false, scratch);
    SwigluArgs swiglu;
    swiglu.width = sizes_.ffn;
    swiglu.gate_up = row(kept_.gate_up, begin);
    swiglu.d_y = aside;
    swiglu.d_gate_up = row(d_gate_up_, begin);
    swiglu.y = down_gradient_ ? again : nullptr;
    loops().swiglu_backward(swiglu, 0, rows);
    if (down_gradient_) down_gradient_->x.pack_rows(again, begin, rows);
    prefetch(kept_.middle, begin, rows);
    gate_up_.multiply(row(d_gate_up_, begin), 2 * sizes_.ffn, 1, rows, aside, false, scratch);
    norm_backward(1, piece, aside, again);
    prefetch(kept_.qkv, begin, rows);
    prefetch(kept_.mixed, begin, rows);
    output_.multiply(row(d_attended_, begin), sizes_.dim, 1, rows, row(d_mixed_, begin), false,
                     scratch);
    if (output_gradient_) output_gradient_->x.pack_rows(row(kept_.mixed, begin), begin, rows);
  }

  void after_attention(int64_t piece, float* scratch) const {
    const int64_t begin = pieces_.begin(piece), rows = pieces_.rows(piece);
    float *d_normed = scratch + kMatrixScratch, *again = d_normed + room();
    qkv_.multiply(row(d_qkv_, begin), sizes_.qkv, 1, rows, d_normed, false, scratch);
    norm_backward(0, piece, d_normed, again);
  }

  /// Gradient of the block's norm `which` (0: before attention, 1: after it), plus that of the sum it reads; `again`:
  /// memory for what it gave in forward. Weights' gradients are summed piece by piece, so that they do not depend on the
  /// number of threads.
  void norm_backward(int64_t which, int64_t piece, const float* d_y, float* again) const {
    const int64_t begin = pieces_.begin(piece), rows = pieces_.rows(piece);
    const at::Tensor& d_sum = which == 0 ? d_attended_ : d_middle_;
    const auto& next = which == 0 ? qkv_gradient_ : gate_up_gradient_;
    NormArgs norm;
    norm.dim = sizes_.dim;
    norm.x = row(which == 0 ? kept_.input : kept_.middle, begin);
    norm.rstd = (which == 0 ? kept_.rstd : kept_.middle_rstd).data_ptr<float>() + begin;
    norm.weight = (which == 0 ? weights_.input_norm : weights_.post_norm).data_ptr();
    norm.d_y = d_y;
    norm.d_sum = d_sum.defined() ? row(d_sum, begin) : nullptr;
    norm.d_x = row(which == 0 ? d_input_ : d_attended_, begin);
    norm.y = next ? again : nullptr;
    float* share = norm_shares_.data_ptr<float>() + (which * pieces_.count() + piece) * sizes_.dim;
    std::fill_n(share, sizes_.dim, 0.f);
    loops().norm_backward(norm, 0, rows, share);
    if (next) next->x.pack_rows(again, begin, rows);
  }

  void sum_norm_shares(int64_t which) const {
    float* sum = norm_gradients_[which].data_ptr<float>();
    const float* share = norm_shares_.data_ptr<float>() + which * pieces_.count() * sizes_.dim;
    std::copy_n(share, sizes_.dim, sum);
    for (int64_t piece = 1; piece < pieces_.count(); ++piece)
      for (int64_t i = 0; i < sizes_.dim; ++i) sum[i] += share[piece * sizes_.dim + i];
  }

  DenseBlockSizes sizes_;
  RowPieces pieces_;
  const at::Tensor &d_middle_, &d_fed_;
  const DenseBlockWeights& weights_;
  const DenseBlockKept& kept_;
  PackedMatrix qkv_, output_, gate_up_, down_;
  // Gradients of gate_up and qkv take the place of what they are the gradients of: half the memory to wait for.
  const at::Tensor &d_gate_up_, &d_qkv_;
  at::Tensor d_attended_, d_mixed_, d_input_;
  std::optional<WeightGradient> down_gradient_, gate_up_gradient_, output_gradient_, qkv_gradient_;
  at::Tensor norm_shares_;        // [2, pieces, D]
  at::Tensor norm_gradients_[2];  // [D]
  at::Tensor head_shares_;        // [S K, 2, H]
  AttentionArgs attention_;
  int64_t attention_scratch_ = 0;
};

}  // namespace

at::Tensor DenseBlockWanted::memory_for(const at::Tensor& weight) const {
  const at::Tensor memory = home ? home(weight) : at::Tensor();
  TORCH_CHECK(!memory.defined() || (memory.sizes() == weight.sizes() && memory.is_contiguous()),
              "dense_block: the gradient's memory must be shaped as its parameter, ",
              weight.sizes());
  return memory.defined() ? memory : at::empty_like(weight);
}

DenseBlockGradients dense_block_backward(const at::Tensor& d_middle, const at::Tensor& d_fed,
                                         const DenseBlockWeights& weights,
                                         const AttentionInputs& attention,
                                         const DenseBlockShape& shape, const DenseBlockKept& kept,
                                         DenseBlockWanted wanted) {
  return Backward(d_middle, d_fed, weights, attention, shape, kept, wanted).run();
}

}  // namespace veomni::kernels::cpu
