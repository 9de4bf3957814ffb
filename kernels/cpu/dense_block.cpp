#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include "kernels/cpu/dense_block_parts.h"
#include "kernels/cpu/fused.h"
#include "kernels/cpu/rope_table.h"
#include "kernels/kept.h"

namespace veomni::kernels::cpu {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr at::Tensor DenseBlockWeights::*kWeights[] = {
    &DenseBlockWeights::input_norm, &DenseBlockWeights::qkv,     &DenseBlockWeights::qkv_bias,
    &DenseBlockWeights::q_norm,     &DenseBlockWeights::k_norm,  &DenseBlockWeights::output,
    &DenseBlockWeights::post_norm,  &DenseBlockWeights::gate_up, &DenseBlockWeights::down};
constexpr at::Tensor DenseBlockKept::*kKept[] = {
    &DenseBlockKept::input,       &DenseBlockKept::rstd,    &DenseBlockKept::qkv,
    &DenseBlockKept::mixed,       &DenseBlockKept::softmax, &DenseBlockKept::middle,
    &DenseBlockKept::middle_rstd, &DenseBlockKept::gate_up};
constexpr at::Tensor RopeTable::*kRope[] = {&RopeTable::cosine, &RopeTable::sine, &RopeTable::rows};

struct Settings {
  DenseBlockShape shape;
  bool has_branch;
  std::vector<bool> has_weight;  ///< in the order of kWeights
  GradientHome home;
  bool spent = false;  ///< backward has written over what forward kept
};

/// What is no differentiable input; a struct hides its tensors from autograd.
struct Constants {
  RopeTable table;
  at::Tensor cu_seqlens;
  Settings settings;
};

AttentionInputs attention_inputs(const DenseBlockWeights& weights, const at::Tensor& qkv,
                                 const RopeTable& table, const at::Tensor& cu_seqlens) {
  return {qkv, weights.q_norm, weights.k_norm, table.cosine, table.sine, table.rows, cu_seqlens};
}

/// The tensors of a list one after the other; absent ones are skipped.
class Walk {
 public:
  explicit Walk(at::TensorList list) : list_(list) {}
  at::Tensor next(bool present = true) { return present ? list_[at_++] : at::Tensor(); }

 private:
  at::TensorList list_;
  size_t at_ = 0;
};

DenseBlockWeights take_weights(Walk& walk, const std::vector<bool>& present) {
  DenseBlockWeights weights;
  size_t i = 0;
  for (const auto member : kWeights) weights.*member = walk.next(present[i++]);
  return weights;
}

DenseBlockWanted wanted_weights(AutogradContext& ctx, const Settings& settings, size_t first) {
  DenseBlockWanted wanted{.home = settings.home};
  for (size_t i = 0, input = first; i < settings.has_weight.size(); ++i) {
    if (!settings.has_weight[i] || !ctx.needs_input_grad(input++)) continue;
    if (kWeights[i] == &DenseBlockWeights::qkv) wanted.qkv = true;
    if (kWeights[i] == &DenseBlockWeights::output) wanted.output = true;
    if (kWeights[i] == &DenseBlockWeights::gate_up) wanted.gate_up = true;
    if (kWeights[i] == &DenseBlockWeights::down) wanted.down = true;
  }
  return wanted;
}

struct DenseBlock : torch::autograd::Function<DenseBlock> {
  /// inputs: sum, [branch], weights in the order of kWeights.
  static variable_list forward(AutogradContext* ctx, at::TensorList inputs,
                               const Constants& constants) {
    const Settings& settings = constants.settings;
    Walk walk(inputs);
    const at::Tensor sum = walk.next(), branch = walk.next(settings.has_branch);
    const DenseBlockWeights weights = take_weights(walk, settings.has_weight);
    AttentionInputs attention =
        attention_inputs(weights, {}, constants.table, constants.cu_seqlens);
    DenseBlockKept kept;
    const at::Tensor fed =
        dense_block_forward(sum, branch, weights, attention, settings.shape, kept);
    variable_list saved(inputs.begin() + 1 + settings.has_branch, inputs.end());
    for (const auto member : kKept) saved.push_back(kept.*member);
    for (const auto member : kRope) saved.push_back(constants.table.*member);
    saved.push_back(constants.cu_seqlens);
    ctx->save_for_backward(saved);
    keep(ctx, settings);
    ctx->set_materialize_grads(false);
    return {kept.middle, fed};
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    auto& settings = kept<Settings>(ctx);
    TORCH_CHECK(!std::exchange(settings.spent, true),
                "dense_block: a second backward; the first one overwrote what forward kept");
    const auto saved = ctx->get_saved_variables();
    Walk walk(saved);
    const DenseBlockWeights weights = take_weights(walk, settings.has_weight);
    DenseBlockKept kept;
    for (const auto member : kKept) kept.*member = walk.next();
    RopeTable table;
    for (const auto member : kRope) table.*member = walk.next();
    const auto attention = attention_inputs(weights, kept.qkv, table, walk.next());
    const at::Tensor d_middle = gradients[0].defined() ? gradients[0].contiguous() : at::Tensor();
    const at::Tensor d_fed =
        gradients[1].defined() ? gradients[1].contiguous() : at::zeros_like(kept.middle);
    const size_t first = 1 + settings.has_branch;
    const DenseBlockWanted wanted = wanted_weights(*ctx, settings, first);
    const auto result =
        dense_block_backward(d_middle, d_fed, weights, attention, settings.shape, kept, wanted);
    variable_list out(first, result.input);
    size_t i = 0;
    for (const auto member : kWeights)
      if (settings.has_weight[i++]) out.push_back(result.weights.*member);
    out.emplace_back();
    return out;
  }
};

}  // namespace

std::pair<at::Tensor, at::Tensor> dense_block(const at::Tensor& sum, const at::Tensor& branch,
                                              const DenseBlockWeights& weights,
                                              const at::Tensor& positions,
                                              const at::Tensor& cu_seqlens,
                                              const AttentionShape& shape, double norm_eps,
                                              const GradientHome& home) {
  Constants constants{{}, cu_seqlens, {{shape, norm_eps}, branch.defined(), {}, home}};
  if (shape.rope_theta > 0) constants.table = rope_table(positions, cu_seqlens, shape);
  variable_list inputs{sum};
  if (branch.defined()) inputs.push_back(branch);
  for (const auto member : kWeights) {
    constants.settings.has_weight.push_back((weights.*member).defined());
    if (constants.settings.has_weight.back()) inputs.push_back(weights.*member);
  }
  const variable_list results = DenseBlock::apply(at::TensorList(inputs), constants);
  return {results[0], results[1]};
}

}  // namespace veomni::kernels::cpu
