#include "parallel/fsdp/unit.h"

#include <numeric>

#include "parallel/fsdp/unit_state.h"

namespace veomni {
namespace {

/// What this rank's group holds of one parameter, from everybody's piece of the flat tensor.
at::Tensor held_tensor(UnitState& unit, const at::Tensor& piece, size_t index) {
  if (unit.group.size() == 1) return unit.view(piece, index).clone();
  const at::Tensor flat = at::empty({unit.layout.total}, piece.options());
  for (const auto& work : unit.start_gather(flat, piece)) work->wait();
  return unit.view(flat, index).clone();
}

/// The whole of it: the rows of all.
at::Tensor full_tensor(UnitState& unit, const at::Tensor& piece, const std::string& parameter) {
  const at::NoGradGuard no_grad;
  const size_t index = unit.index_of(parameter);
  const at::Tensor held = held_tensor(unit, piece, index);
  if (unit.rows == nullptr || unit.rows->size() == 1) return held;
  at::Tensor whole = at::empty(unit.parameters[index].shape, held.options());
  unit.rows->all_gather(whole, held);
  return whole;
}

}  // namespace

FsdpSettings FsdpSettings::of(const ParallelConfig& config) {
  const auto& text = config.reshard_after_forward;
  return {.prefetch = config.prefetch,
          .reshard = text == "auto"     ? Reshard::automatic
                     : text == "always" ? Reshard::always
                                        : Reshard::never,
          .reduce_each_micro_batch = config.reduce_gradients == "each_micro_batch"};
}

Unit::Unit(std::string name, std::vector<ParameterSpec> parameters, ParallelContext& context,
           UnitGroups groups)
    : state_(std::make_shared<UnitState>(std::move(name), std::move(parameters), context, groups)) {
  state_->make_leaves();
}

Unit::~Unit() = default;

const std::string& Unit::name() const { return state_->name; }
const std::vector<ParameterSpec>& Unit::parameters() const { return state_->parameters; }
Shard& Unit::shard() { return state_->shard; }
int64_t Unit::gathered_bytes() const {
  const auto& ahead = state_->prefetched;
  return state_->filled_bytes + (ahead.defined() ? static_cast<int64_t>(ahead.nbytes()) : 0);
}

UnitUse Unit::enter() {
  UnitUse use;
  use.unit_ = state_;
  if (state_->in_place) {
    use.tensors_ = state_->leaves;
    return use;
  }
  use.gathered_ = std::make_shared<GatheredUnit>(state_);
  use.tensors_ = use.gathered_->enter();
  return use;
}

std::vector<at::Tensor> UnitUse::leave(std::vector<at::Tensor> outputs) {
  const auto tensors = std::exchange(tensors_, {});
  return gathered_ ? gathered_->leave(outputs, tensors.back()) : outputs;
}

kernels::GradientHome UnitUse::gradient_home() const {
  return [unit = unit_, gathered = gathered_](const at::Tensor& parameter) {
    return gathered ? gathered->gradient_home(parameter) : unit->gradient_home(parameter);
  };
}

void Unit::chain(const std::vector<Unit*>& units) {
  const auto pipeline = std::make_shared<UnitPipeline>();
  int64_t bytes = 0;
  for (size_t i = 0; i < units.size(); ++i) {
    UnitState& state = *units[i]->state_;
    state.pipeline = pipeline;
    state.next.reset();
    if (i > 0) units[i - 1]->state_->next = units[i]->state_;
    bytes += state.layout.total * static_cast<int64_t>(state.gathered_options().dtype().itemsize());
  }
  for (Unit* unit : units)
    if (unit->state_->settings.reshard == FsdpSettings::Reshard::automatic)
      unit->state_->reshard = bytes > FsdpSettings::kKeptBytes;
}

void Unit::reduce_gradients() { reduce_gradients({this}); }

void Unit::reduce_gradients(const std::vector<Unit*>& units) {
  for (Unit* unit : units) unit->state_->start_last_reduction();
  for (Unit* unit : units) unit->state_->complete_gradient();
  std::vector<std::unique_ptr<Work>> works;
  for (Unit* unit : units) {
    UnitState& state = *unit->state_;
    if (state.replicate == nullptr || state.replicate->size() == 1 || !state.shard.used) continue;
    const CommUnit counted(state.ledger, state.name);
    works.push_back(state.replicate->start_all_reduce(state.shard.gradient));
  }
  for (auto& work : works) work->wait();
}

void Unit::zero_gradient() {
  state_->pipeline->finish_all();
  state_->drop_prefetched();
  state_->fresh = true;
  state_->written.assign(state_->written.size(), false);
  state_->homes_given.assign(state_->homes_given.size(), false);
  for (at::Tensor& leaf : state_->leaves) leaf.mutable_grad().reset();
}

at::Tensor Unit::full_parameter(const std::string& name) {
  return full_tensor(*state_, state_->shard.master, name);
}

at::Tensor Unit::full_gradient(const std::string& name) {
  if (state_->parameters[state_->index_of(name)].frozen) return {};
  return full_tensor(*state_, state_->shard.gradient, name);
}

}  // namespace veomni
