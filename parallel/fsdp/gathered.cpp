// Mechanism: autograd keeps tensors over a storage; the storage's memory is taken away after
// forward and given back before backward. Only raw memory moves, so autograd's version counters
// stand still.
#include "kernels/kept.h"
#include "parallel/fsdp/unit_state.h"

namespace veomni {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

using Use = std::shared_ptr<GatheredUnit>;

void remember(AutogradContext* context, const Use& use) {
  context->set_materialize_grads(false);
  kernels::keep(context, use);
}

/// Anchor → the unit's parameters and a mark, an empty tensor that Leave takes: so backward comes
/// here even when every parameter is frozen. It takes their gradients to the shards and empties the
/// storage, which nobody needs any more: the engine runs nodes in the reverse order of their making,
/// and all others of the unit were made after this one.
struct Gather : Function<Gather> {
  static variable_list forward(AutogradContext* context, const at::Tensor& anchor, const Use& use) {
    (void)anchor;
    remember(context, use);
    variable_list tensors = use->make_tensors(), frozen;
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (use->unit->parameters[i].frozen) frozen.push_back(tensors[i]);
    }
    context->mark_non_differentiable(frozen);
    tensors.push_back(at::empty({0}, use->flat.options()));
    return tensors;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    GatheredUnit& use = *kernels::kept<Use>(context);
    use.unit->add_gradients(gradients, std::exchange(use.full_gradient, at::Tensor()));
    use.release();
    return {at::Tensor(), at::Tensor()};
  }
};

/// Identity over everything that leaves the unit, and the mark; its backward runs before any other
/// of the unit and gathers again.
struct Leave : Function<Leave> {
  static variable_list forward(AutogradContext* context, at::TensorList outputs, const Use& use) {
    remember(context, use);
    variable_list result;
    for (const at::Tensor& output : outputs) result.push_back(output.view_as(output));
    return result;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    GatheredUnit& use = *kernels::kept<Use>(context);
    use.unit->pipeline->last_left.reset();  // the next leave() begins a new forward
    use.fill();
    auto previous = use.previous.lock();
    for (int64_t ahead = 0; previous && ahead < use.unit->settings.prefetch; ++ahead) {
      if (!previous->filled) previous->unit->prefetch();
      previous = previous->previous.lock();
    }
    gradients.emplace_back();
    return gradients;
  }
};

}  // namespace

GatheredUnit::GatheredUnit(std::shared_ptr<UnitState> its_unit)
    : unit(std::move(its_unit)),
      flat(at::empty({0}, unit->gathered_options())),
      homes_given(unit->parameters.size()) {}

GatheredUnit::~GatheredUnit() {
  if (filled) unit->filled_bytes -= static_cast<int64_t>(flat.storage().nbytes());
}

void GatheredUnit::fill() {
  if (filled) return;
  const at::Tensor gathered = unit->take_gathered();
  c10::StorageImpl* to = flat.storage().unsafeGetStorageImpl();
  c10::StorageImpl* from = gathered.storage().unsafeGetStorageImpl();
  to->set_data_ptr_noswap(from->set_data_ptr(from->allocator()->allocate(0)));
  to->set_nbytes(from->nbytes());
  from->set_nbytes(0);
  filled = true;
  unit->filled_bytes += static_cast<int64_t>(to->nbytes());
}

void GatheredUnit::release() {
  if (!filled) return;
  c10::StorageImpl* storage = flat.storage().unsafeGetStorageImpl();
  unit->filled_bytes -= static_cast<int64_t>(storage->nbytes());
  storage->set_data_ptr_noswap(storage->allocator()->allocate(0));
  storage->set_nbytes(0);
  filled = false;
}

std::vector<at::Tensor> GatheredUnit::make_tensors() {
  std::vector<at::Tensor> tensors;
  for (size_t i = 0; i < unit->parameters.size(); ++i) {
    const auto shape = unit->parameters[i].held_shape();
    tensors.push_back(
        at::empty({0}, unit->gathered_options())
            .set_(flat.storage(), unit->layout.starts[i], shape, c10::contiguous_strides(shape)));
  }
  return tensors;
}

at::Tensor GatheredUnit::gradient_home(const at::Tensor& parameter) {
  const bool reduced = unit->group.size() > 1 && unit->settings.reduce_each_micro_batch;
  if (!reduced || unit->bf16) return {};
  const auto index = unit->trained_at(parameter.const_data_ptr(), flat.storage().data());
  if (!index || homes_given[*index]) return {};
  homes_given[*index] = true;
  if (!full_gradient.defined())
    full_gradient = at::empty({unit->layout.trained}, unit->shard.gradient.options());
  return unit->view(full_gradient, *index);
}

std::vector<at::Tensor> GatheredUnit::enter() {
  const bool differentiable = at::GradMode::is_enabled();
  fill();
  unit->prefetch_next();
  if (!differentiable) return make_tensors();
  return Gather::apply(unit->anchor, shared_from_this());
}

std::vector<at::Tensor> GatheredUnit::leave(const std::vector<at::Tensor>& outputs,
                                            const at::Tensor& mark) {
  bool differentiable = false;
  for (const at::Tensor& output : outputs) differentiable |= output.requires_grad();
  differentiable = differentiable && at::GradMode::is_enabled();
  std::vector<at::Tensor> result = outputs;
  if (differentiable) {
    result.push_back(mark);
    result = Leave::apply(at::TensorList(result), shared_from_this());
    result.pop_back();
    // Units may lie within one another: backward comes to them in the reverse order of their ends.
    previous = std::exchange(unit->pipeline->last_left, weak_from_this());
  }
  if (!differentiable || unit->reshard) release();
  return result;
}

}  // namespace veomni
