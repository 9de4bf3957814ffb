// Packed attention on CUDA tensors: rotation, then tiles of attention.
// T tokens, N query heads, K key-value heads, H head size
#include <algorithm>
#include <cstring>
#include <optional>

#include "kernels/cuda_call.h"
#include "kernels/cuda_ops.h"

namespace veomni::kernels {
namespace {

bool rotates(const AttentionInputCuda& in) {
  return in.shape.rope_theta > 0 || in.q_weight.defined() || in.k_weight.defined();
}

/// Whether rows after the last sample exist: no kernel writes them, and they must be zero.
bool has_rest(const AttentionInputCuda& in) {
  return in.cu_seqlens.const_data_ptr<int32_t>()[in.cu_seqlens.numel() - 1] < in.qkv.size(0);
}

at::Tensor make(const AttentionInputCuda& in, at::IntArrayRef shape) {
  return has_rest(in) ? at::zeros(shape, in.qkv.options()) : at::empty(shape, in.qkv.options());
}

/// Runs of `rows` rows of each sample, on the device. The copy waits for nothing: it is small and
/// leaves host memory at the call.
at::Tensor tiles_on_device(const AttentionInputCuda& in, int64_t rows) {
  const int32_t* begin = in.cu_seqlens.const_data_ptr<int32_t>();
  std::vector<VeomniTile> tiles;
  for (int64_t s = 0; s + 1 < in.cu_seqlens.numel(); ++s) {
    for (int64_t first = begin[s]; first < begin[s + 1]; first += rows) {
      tiles.push_back({begin[s], begin[s + 1], static_cast<int32_t>(first)});
    }
  }
  static_assert(sizeof(VeomniTile) == 3 * sizeof(int32_t));
  const at::Tensor host = at::empty({static_cast<int64_t>(tiles.size()), 3}, at::kInt);
  if (!tiles.empty()) {
    std::memcpy(host.data_ptr<int32_t>(), tiles.data(), tiles.size() * sizeof(VeomniTile));
  }
  return host.to(in.qkv.device(), at::kInt, /*non_blocking=*/true);
}

VeomniRope rope_args(const AttentionInputCuda& in) {
  VeomniRope args{};
  args.qkv = in.qkv.const_data_ptr();
  args.q_weight = data_of(in.q_weight);
  args.k_weight = data_of(in.k_weight);
  args.theta = in.shape.rope_theta;
  args.turn_scale = in.shape.rope_scaling.attention_factor;
  if (in.frequencies.defined()) {
    args.frequency = in.frequencies.const_data_ptr<double>();
    args.frequency_row = in.frequencies.size(0) == 1 ? 0 : in.frequencies.size(1);
  }
  args.rotary_dims = rotary_dims(in.shape);
  if (args.theta > 0) args.positions = in.positions.const_data_ptr<int64_t>();
  args.tokens = in.qkv.size(0);
  args.query_heads = in.shape.query_heads;
  args.key_value_heads = in.shape.key_value_heads;
  args.head_dim = in.shape.head_dim;
  args.epsilon = static_cast<float>(in.shape.qk_norm_eps);
  args.scalar = scalar_of(in.qkv);
  return args;
}

/// Where q, k and v of one row begin, in elements, and how long a row of q and k is.
struct Columns {
  int64_t k, v, qk_width, qkv_width;
  explicit Columns(const AttentionShape& s)
      : k(s.query_heads * s.head_dim),
        v(k + s.key_value_heads * s.head_dim),
        qk_width(v),
        qkv_width(v + s.key_value_heads * s.head_dim) {}
};

template <class Pointer>
Pointer* at_column(Pointer* base, const at::Tensor& like, int64_t column) {
  using Byte = std::conditional_t<std::is_const_v<Pointer>, const char, char>;
  return static_cast<Byte*>(base) + column * static_cast<int64_t>(like.element_size());
}

/// [T, (N + K) H] rotated q and k, or qkv itself where nothing rotates.
at::Tensor rotated(const AttentionInputCuda& in) {
  if (!rotates(in)) return in.qkv;
  const at::Tensor qk = at::empty({in.qkv.size(0), Columns(in.shape).qk_width}, in.qkv.options());
  VeomniRope args = rope_args(in);
  args.qk = qk.data_ptr();
  start_cuda("rope", cuda_table().rope, args, in.qkv);
  return qk;
}

VeomniAttention attention_args(const AttentionInputCuda& in, const at::Tensor& qk,
                               const AttentionCuda& result, const at::Tensor& tiles) {
  const Columns columns(in.shape);
  VeomniAttention args{};
  args.q = qk.const_data_ptr();
  args.k = at_column(qk.const_data_ptr(), qk, columns.k);
  args.v = at_column(in.qkv.const_data_ptr(), in.qkv, columns.v);
  args.q_stride = args.k_stride = qk.size(1);
  args.v_stride = columns.qkv_width;
  args.out = result.out.data_ptr();
  args.lse = result.lse.data_ptr<float>();
  args.tiles = static_cast<const VeomniTile*>(tiles.const_data_ptr());
  args.tile_count = tiles.size(0);
  args.tokens = in.qkv.size(0);
  args.query_heads = in.shape.query_heads;
  args.key_value_heads = in.shape.key_value_heads;
  args.head_dim = in.shape.head_dim;
  args.causal = in.shape.causal ? 1 : 0;
  args.window = static_cast<int32_t>(std::min<int64_t>(in.shape.window, in.qkv.size(0)));
  args.scalar = scalar_of(in.qkv);
  return args;
}

/// From the gradient of the rotated q and k to that of qkv's columns and of the norms' weights.
void rope_backward(const AttentionInputCuda& in, const at::Tensor& grad_qk,
                   AttentionGradCuda& grad) {
  VeomniRope args = rope_args(in);
  at::Tensor partial;
  if (in.q_weight.defined()) grad.q_weight = at::empty_like(in.q_weight);
  if (in.k_weight.defined()) grad.k_weight = at::empty_like(in.k_weight);
  if (in.q_weight.defined() || in.k_weight.defined()) {
    partial = floats(in.qkv, {veomni_partial_rows(args.tokens), 2, args.head_dim});
    args.partial = partial.data_ptr<float>();
  }
  args.grad_qk = grad_qk.const_data_ptr();
  args.grad_qkv = grad.qkv.data_ptr();
  args.grad_q_weight = grad.q_weight.defined() ? grad.q_weight.data_ptr() : nullptr;
  args.grad_k_weight = grad.k_weight.defined() ? grad.k_weight.data_ptr() : nullptr;
  start_cuda("rope_backward", cuda_table().rope_backward, args, in.qkv);
}

/// Whether LibTorch's kernels take it: theirs are of 16-bit types, for rows of whole 16 bytes.
bool flashes(const AttentionInputCuda& in) {
  return in.qkv.is_cuda() && in.qkv.scalar_type() == at::kBFloat16 && in.shape.head_dim % 8 == 0 &&
         in.cu_seqlens.numel() > 1;
}

/// The samples' bounds on the device, and the longest of them.
struct Samples {
  at::Tensor bounds;
  int64_t longest = 0, tokens = 0;
  explicit Samples(const AttentionInputCuda& in)
      : bounds(in.cu_seqlens.to(in.qkv.device(), at::kInt, /*non_blocking=*/true)) {
    const int32_t* begin = in.cu_seqlens.const_data_ptr<int32_t>();
    for (int64_t s = 0; s + 1 < in.cu_seqlens.numel(); ++s)
      longest = std::max<int64_t>(longest, begin[s + 1] - begin[s]);
    tokens = begin[in.cu_seqlens.numel() - 1];
  }
};

/// q, k and v as [tokens of samples, heads, H] within the rows that hold them.
struct Heads {
  at::Tensor q, k, v;
  Heads(const AttentionInputCuda& in, const at::Tensor& qk, int64_t tokens) {
    const AttentionShape& s = in.shape;
    const auto heads = [&](const at::Tensor& rows, int64_t column, int64_t count) {
      return rows.narrow(0, 0, tokens)
          .narrow(1, column, count * s.head_dim)
          .unflatten(1, at::IntArrayRef{count, s.head_dim});
    };
    const Columns columns(s);
    q = heads(qk, 0, s.query_heads);
    k = heads(qk, columns.k, s.key_value_heads);
    v = heads(in.qkv, columns.v, s.key_value_heads);
  }
};

/// Tokens before and after itself that one sees, as LibTorch's kernels count a window; nothing: as causal says.
std::optional<int64_t> left_of(const AttentionShape& shape) {
  return shape.window > 0 ? std::optional(shape.window - 1) : std::nullopt;
}
std::optional<int64_t> right_of(const AttentionShape& shape) {
  return shape.window > 0 ? std::optional<int64_t>(0) : std::nullopt;
}

AttentionCuda flash_forward(const AttentionInputCuda& in) {
  const Samples samples(in);
  const Heads heads(in, rotated(in), samples.tokens);
  auto [out, lse, state, more_state, mask] = at::_flash_attention_forward(
      heads.q, heads.k, heads.v, samples.bounds, samples.bounds, samples.longest, samples.longest,
      /*dropout_p=*/0, in.shape.causal, /*return_debug_mask=*/false, /*scale=*/std::nullopt,
      left_of(in.shape), right_of(in.shape));
  const int64_t tokens = in.qkv.size(0), width = Columns(in.shape).k;
  at::Tensor rows = out.reshape({samples.tokens, width});
  if (samples.tokens < tokens)
    rows = at::cat({rows, at::zeros({tokens - samples.tokens, width}, rows.options())});
  return {rows, lse, state, more_state};
}

AttentionGradCuda flash_backward(const at::Tensor& grad_out, const AttentionInputCuda& in,
                                 const AttentionCuda& saved) {
  const Samples samples(in);
  const Columns columns(in.shape);
  const Heads heads(in, rotated(in), samples.tokens);
  const auto rows_of = [&](const at::Tensor& x) {
    return x.narrow(0, 0, samples.tokens).view(heads.q.sizes());
  };
  const auto [grad_q, grad_k, grad_v] = at::_flash_attention_backward(
      rows_of(grad_out), heads.q, heads.k, heads.v, rows_of(saved.out), saved.lse, samples.bounds,
      samples.bounds, samples.longest, samples.longest, /*dropout_p=*/0, in.shape.causal,
      saved.state, saved.more_state, /*scale=*/std::nullopt, left_of(in.shape), right_of(in.shape));
  AttentionGradCuda grad;
  grad.qkv = make(in, in.qkv.sizes());
  const at::Tensor grad_qk = rotates(in) ? make(in, {in.qkv.size(0), columns.qk_width}) : grad.qkv;
  const auto put = [&](const at::Tensor& to, int64_t column, const at::Tensor& from) {
    const at::Tensor flat = from.flatten(1);
    to.narrow(0, 0, samples.tokens).narrow(1, column, flat.size(1)).copy_(flat);
  };
  put(grad_qk, 0, grad_q);
  put(grad_qk, columns.k, grad_k);
  put(grad.qkv, columns.v, grad_v);
  if (rotates(in)) rope_backward(in, grad_qk, grad);
  return grad;
}

}  // namespace

AttentionCuda packed_attention_forward_cuda(const AttentionInputCuda& in) {
  if (flashes(in)) return flash_forward(in);
  const int64_t tokens = in.qkv.size(0);
  const at::Tensor qk = rotated(in);
  const at::Tensor tiles = tiles_on_device(in, veomni_attention_rows(in.shape.head_dim, false));
  const AttentionCuda result{make(in, {tokens, Columns(in.shape).k}),
                             floats(in.qkv, {in.shape.query_heads, tokens})};
  const VeomniAttention args = attention_args(in, qk, result, tiles);
  start_cuda("attention", cuda_table().attention, args, in.qkv);
  return result;
}

AttentionGradCuda packed_attention_backward_cuda(const at::Tensor& grad_out,
                                                 const AttentionInputCuda& in,
                                                 const AttentionCuda& saved) {
  if (flashes(in)) return flash_backward(grad_out, in, saved);
  const Columns columns(in.shape);
  const at::Tensor qk = rotated(in);
  const at::Tensor tiles = tiles_on_device(in, veomni_attention_rows(in.shape.head_dim, true));
  const at::Tensor delta = at::empty_like(saved.lse);
  AttentionGradCuda grad;
  grad.qkv = make(in, in.qkv.sizes());
  const at::Tensor grad_qk = rotates(in) ? make(in, qk.sizes()) : grad.qkv;
  VeomniAttention args = attention_args(in, qk, saved, tiles);
  args.grad_out = grad_out.const_data_ptr();
  args.grad_q = grad_qk.data_ptr();
  args.grad_k = at_column(grad_qk.data_ptr(), grad_qk, columns.k);
  args.grad_v = at_column(grad.qkv.data_ptr(), grad.qkv, columns.v);
  args.grad_q_stride = args.grad_k_stride = grad_qk.size(1);
  args.grad_v_stride = columns.qkv_width;
  args.delta = delta.data_ptr<float>();
  start_cuda("attention_backward", cuda_table().attention_backward, args, in.qkv);
  if (rotates(in)) rope_backward(in, grad_qk, grad);
  return grad;
}

}  // namespace veomni::kernels
