#include <algorithm>

#include "kernels/cpu/dense_block_parts.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/phases.h"

namespace veomni::kernels::cpu {
namespace {

class Forward {
 public:
  Forward(const at::Tensor& sum, const at::Tensor& branch, const DenseBlockWeights& weights,
          AttentionInputs& attention, const DenseBlockShape& shape, DenseBlockKept& kept)
      : sizes_(sum, weights),
        sum_(sum),
        branch_(branch),
        weights_(weights),
        pieces_(attention.cu_seqlens.const_data_ptr<int32_t>(), attention.samples(), sizes_.tokens),
        epsilon_(static_cast<float>(shape.norm_eps)),
        kept_(kept),
        qkv_(weights.qkv.t()),
        output_(weights.output.t()),
        gate_up_(weights.gate_up.t()),
        down_(weights.down.t()),
        fed_(at::empty_like(sum)) {
    allocate(shape.attention.query_heads);
    attention.qkv = kept.qkv;
    attention.clear_rest(kept.mixed);
    attention_ = attention.args(shape.attention);
    attention_.out = kept.mixed.data_ptr();
    attention_.softmax = kept.softmax.data_ptr<float>();
    attention_scratch_ = loops().attention_scratch(attention.longest(), attention_.head_dim);
  }

  at::Tensor run() {
    PackPhase pack;
    for (const PackedMatrix* matrix : {&qkv_, &output_, &gate_up_, &down_}) pack.add(*matrix);
    std::vector<Phase> phases{{pack.items(), [&](int64_t item, float*) { pack.run(item); }}};
    const RowPieces::Steps steps{
        [&](int64_t piece, float* scratch) { before_attention(piece, scratch); },
        [&](int64_t piece, float* scratch) { after_attention(piece, scratch); },
        [&](int64_t sample, int64_t head, float* scratch) {
          loops().attention_forward(attention_, sample, head, scratch);
        },
        attention_.key_value_heads};
    for (auto& phase : pieces_.phases(steps, at::get_num_threads())) phases.push_back(phase);
    run_phases(phases, std::max(attention_scratch_,
                                kMatrixScratch + RowPieces::kRows * (2 * sizes_.dim + sizes_.ffn)));
    return fed_;
  }

 private:
  void allocate(int64_t query_heads) {
    const int64_t T = sizes_.tokens;
    const auto floats = [](at::IntArrayRef shape) { return at::empty(shape, at::kFloat); };
    kept_.input = branch_.defined() ? floats({T, sizes_.dim}) : sum_;
    kept_.rstd = floats({T});
    kept_.qkv = floats({T, sizes_.qkv});
    kept_.mixed = floats({T, sizes_.mixed});
    kept_.softmax = floats({T, query_heads, 2});
    kept_.middle = floats({T, sizes_.dim});
    kept_.middle_rstd = floats({T});
    kept_.gate_up = floats({T, 2 * sizes_.ffn});
  }

  void before_attention(int64_t piece, float* scratch) const {
    const int64_t begin = pieces_.begin(piece), rows = pieces_.rows(piece);
    float* normed = scratch + kMatrixScratch;
    NormArgs norm;
    norm.dim = sizes_.dim;
    norm.epsilon = epsilon_;
    norm.weight = weights_.input_norm.data_ptr();
    norm.rstd = kept_.rstd.data_ptr<float>() + begin;
    norm.y = normed;
    norm.x = branch_.defined() ? row(branch_, begin) : row(sum_, begin);
    if (branch_.defined()) {
      norm.residual = row(sum_, begin);
      norm.sum = row(kept_.input, begin);
    }
    loops().norm_forward(norm, 0, rows);
    float* qkv = row(kept_.qkv, begin);
    const float* bias = floats(weights_.qkv_bias);
    for (int64_t r = 0; bias != nullptr && r < rows; ++r)
      std::copy_n(bias, sizes_.qkv, qkv + r * sizes_.qkv);
    qkv_.multiply(normed, sizes_.dim, 1, rows, qkv, bias != nullptr, scratch);
  }

  void after_attention(int64_t piece, float* scratch) const {
    const int64_t begin = pieces_.begin(piece), rows = pieces_.rows(piece);
    float* attended = scratch + kMatrixScratch;
    float* normed = attended + RowPieces::kRows * sizes_.dim;
    float* activated = normed + RowPieces::kRows * sizes_.dim;
    output_.multiply(row(kept_.mixed, begin), sizes_.mixed, 1, rows, attended, false, scratch);
    NormArgs norm;
    norm.dim = sizes_.dim;
    norm.epsilon = epsilon_;
    norm.weight = weights_.post_norm.data_ptr();
    norm.x = attended;
    norm.residual = row(kept_.input, begin);
    norm.sum = row(kept_.middle, begin);
    norm.rstd = kept_.middle_rstd.data_ptr<float>() + begin;
    norm.y = normed;
    loops().norm_forward(norm, 0, rows);
    gate_up_.multiply(normed, sizes_.dim, 1, rows, row(kept_.gate_up, begin), false, scratch);
    SwigluArgs swiglu;
    swiglu.width = sizes_.ffn;
    swiglu.gate_up = row(kept_.gate_up, begin);
    swiglu.y = activated;
    loops().swiglu_forward(swiglu, 0, rows);
    down_.multiply(activated, sizes_.ffn, 1, rows, row(fed_, begin), false, scratch);
  }

  DenseBlockSizes sizes_;
  const at::Tensor &sum_, &branch_;
  const DenseBlockWeights& weights_;
  RowPieces pieces_;
  float epsilon_;
  DenseBlockKept& kept_;
  PackedMatrix qkv_, output_, gate_up_, down_;
  at::Tensor fed_;
  AttentionArgs attention_;
  int64_t attention_scratch_ = 0;
};

}  // namespace

at::Tensor dense_block_forward(const at::Tensor& sum, const at::Tensor& branch,
                               const DenseBlockWeights& weights, AttentionInputs& attention,
                               const DenseBlockShape& shape, DenseBlockKept& kept) {
  return Forward(sum, branch, weights, attention, shape, kept).run();
}

}  // namespace veomni::kernels::cpu
