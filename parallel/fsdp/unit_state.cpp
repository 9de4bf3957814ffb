#include "parallel/fsdp/unit_state.h"

#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include "core/error.h"
#include "core/train/page_tensor.h"

namespace veomni {
namespace {

constexpr size_t kReductionsAhead = 2;  // bounds the full gradients alive at once

/// In place: moves a parameter's first gradient of a step into the flat gradient, where later ones
/// are added.
struct FlattenGradient : torch::autograd::PostAccumulateGradHook {
  FlattenGradient(std::weak_ptr<UnitState> its_unit, size_t its_index)
      : unit(std::move(its_unit)), index(its_index) {}
  void operator()(const at::Tensor& parameter) override {
    const auto state = unit.lock();
    if (!state || state->written[index]) return;
    const at::NoGradGuard no_grad;
    const at::Tensor& flat = state->leaf_gradients[index];
    if (parameter.grad().const_data_ptr() != flat.const_data_ptr()) {
      flat.copy_(parameter.grad());
      parameter.mutable_grad() = flat;
    }
    state->written[index] = true;
    state->fresh = false;
  }
  std::weak_ptr<UnitState> unit;
  size_t index;
};

}  // namespace

void UnitPipeline::finish_oldest() {
  Reduction& oldest = reductions.front();
  oldest.work->wait();
  if (oldest.adds) oldest.unit->shard.gradient.add_(oldest.part);
  reductions.pop_front();
}

void UnitPipeline::finish_all() {
  const at::NoGradGuard no_grad;
  while (!reductions.empty()) finish_oldest();
}

namespace {

std::vector<ParameterSpec> with_groups(std::vector<ParameterSpec> parameters,
                                       const std::vector<GroupConfig>& groups) {
  for (ParameterSpec& parameter : parameters) {
    parameter.group = group_of(groups, parameter.name);
    parameter.frozen = is_frozen(groups, parameter.name);
  }
  return parameters;
}

}  // namespace

UnitState::UnitState(std::string its_name, std::vector<ParameterSpec> its_parameters,
                     ParallelContext& context, UnitGroups groups)
    : name(std::move(its_name)),
      parameters(with_groups(std::move(its_parameters), context.groups)),
      group(groups.shard != nullptr ? *groups.shard : *context.dense),
      replicate(context.replicate),
      ledger(context.ledger),
      rows(groups.rows),
      layout(parameters, group.size()),
      settings(context.fsdp),
      reshard(settings.reshard == FsdpSettings::Reshard::always),
      bf16(context.compute_bf16),
      in_place(group.size() == 1 && !context.compute_bf16) {
  const at::NoGradGuard no_grad;
  shard.unit = name;
  shard.slices = slices_of(layout, parameters, group.rank(), group.size());
  at::Tensor master = page_tensor(layout.total / group.size());
  initialise(master, shard.slices, parameters, context.seed, context.filled_later);
  shard.master = context.cuda ? master.to(at::kCUDA) : master;
  shard.gradient = zeros_of_size(shard.master.narrow(0, 0, layout.trained / group.size()));
  anchor = at::zeros({}, shard.master.options()).set_requires_grad(true);
}

void UnitState::make_leaves() {
  if (!in_place || !leaves.empty()) return;
  written.assign(parameters.size(), false);
  homes_given = written;
  for (size_t i = 0; i < parameters.size(); ++i) {
    leaves.push_back(view(shard.master, i).detach());
    leaf_gradients.emplace_back();
    if (parameters[i].frozen) continue;
    leaf_gradients.back() = view(shard.gradient, i);
    leaves.back().set_requires_grad(true);
    torch::autograd::impl::set_post_acc_grad_hooks(
        leaves.back(), std::make_unique<FlattenGradient>(weak_from_this(), i));
  }
}

size_t UnitState::index_of(const std::string& parameter) const {
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].name == parameter) return i;
  }
  throw Error(fmt::format("unit {}: no parameter '{}'", name, parameter));
}

at::Tensor UnitState::view(const at::Tensor& flat, size_t i) const {
  return flat.narrow(0, layout.starts[i], layout.counts[i]).view(parameters[i].held_shape());
}

std::optional<size_t> UnitState::trained_at(const void* address, const void* flat) const {
  const auto offset = static_cast<const float*>(address) - static_cast<const float*>(flat);
  for (size_t i = 0; i < parameters.size(); ++i)
    if (layout.starts[i] == offset && !parameters[i].frozen) return i;
  return std::nullopt;
}

at::Tensor UnitState::gradient_home(const at::Tensor& parameter) {
  const auto index = trained_at(parameter.const_data_ptr(), shard.master.const_data_ptr());
  if (!index || written[*index] || homes_given[*index]) return {};
  homes_given[*index] = true;
  return leaf_gradients[*index].detach();  // autograd takes over a tensor that nobody else holds
}

at::TensorOptions UnitState::gathered_options() const {
  return shard.master.options().dtype(bf16 ? at::kBFloat16 : at::kFloat);
}

void UnitState::prefetch() {
  if (in_place || prefetched.defined()) return;
  const at::NoGradGuard no_grad;
  if (group.size() == 1) {
    prefetched = shard.master.to(gathered_options(), /*non_blocking=*/false, /*copy=*/true);
    return;
  }
  prefetch_source = shard.master.to(gathered_options());
  prefetched = at::empty({layout.total}, gathered_options());
  prefetch_work = start_gather(prefetched, prefetch_source);
}

std::vector<std::unique_ptr<Work>> UnitState::start_gather(const at::Tensor& flat,
                                                           const at::Tensor& piece) {
  const CommUnit counted(ledger, name);
  std::vector<std::unique_ptr<Work>> works;
  for (const auto& [begin, size] : layout.zones()) {
    const int64_t first = begin / group.size(), count = size / group.size();
    if (first >= piece.numel()) break;
    at::Tensor zone = flat.narrow(0, begin, size);
    works.push_back(group.start_all_gather(zone, piece.narrow(0, first, count)));
  }
  return works;
}

at::Tensor UnitState::take_gathered() {
  prefetch();
  for (auto& work : prefetch_work) work->wait();
  prefetch_work.clear();
  prefetch_source.reset();
  return std::exchange(prefetched, at::Tensor());
}

void UnitState::drop_prefetched() {
  if (prefetched.defined()) take_gathered();
}

void UnitState::prefetch_next() {
  auto unit = next.lock();
  for (int64_t ahead = 0; unit && ahead < settings.prefetch; ++ahead, unit = unit->next.lock())
    unit->prefetch();
}

void UnitState::flatten(const std::vector<at::Tensor>& gradients, const at::Tensor& flat,
                        bool adds) const {
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].frozen) continue;
    const at::Tensor part = view(flat, i);
    if (gradients[i].defined()) {
      if (gradients[i].const_data_ptr() == part.const_data_ptr()) continue;
      adds ? part.add_(gradients[i]) : part.copy_(gradients[i]);
    } else if (!adds) {
      part.zero_();
    }
  }
  for (const auto& gap : layout.gaps)
    if (!adds) flat.narrow(0, gap.begin, gap.end - gap.begin).zero_();
}

void UnitState::start_reduction(const at::Tensor& full, bool first) {
  while (pipeline->reductions.size() >= kReductionsAhead) pipeline->finish_oldest();
  at::Tensor part = first ? shard.gradient : at::empty_like(shard.gradient);
  const CommUnit counted(ledger, name);
  auto work = group.start_reduce_scatter(part, full);
  pipeline->reductions.push_back({shared_from_this(), std::move(work), full, part, !first});
}

void UnitState::add_gradients(const std::vector<at::Tensor>& gradients, at::Tensor full) {
  if (!trains()) return;
  const at::NoGradGuard no_grad;
  const bool first = std::exchange(fresh, false);
  if (group.size() == 1) return flatten(gradients, shard.gradient, !first);
  if (!settings.reduce_each_micro_batch) {
    if (first) unreduced = at::empty({layout.trained}, shard.gradient.options());
    return flatten(gradients, unreduced, !first);
  }
  if (!full.defined()) full = at::empty({layout.trained}, shard.gradient.options());
  flatten(gradients, full, false);
  start_reduction(full, first);
}

void UnitState::start_last_reduction() {
  const at::NoGradGuard no_grad;
  if (unreduced.defined()) start_reduction(std::exchange(unreduced, at::Tensor()), true);
}

void UnitState::complete_gradient() {
  const at::NoGradGuard no_grad;
  pipeline->finish_all();
  drop_prefetched();
  shard.used = !fresh;
  if (fresh) {
    shard.gradient.zero_();
    return;
  }
  for (size_t i = 0; in_place && i < leaves.size(); ++i) {
    if (!parameters[i].frozen && !written[i]) leaf_gradients[i].zero_();
  }
}

}  // namespace veomni
