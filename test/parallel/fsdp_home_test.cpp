// Operators that write gradients where the unit wants them: the same gradients as when they are copied there.
#include "fsdp_net.h"
#include "kernels/kept.h"
#include "parallel/comm/thread.h"
#include "parallel/mesh.h"

using namespace veomni;
using namespace veomni::test;

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// x · weightᵀ whose backward asks for memory for the weight's gradient.
struct HomeLinear : torch::autograd::Function<HomeLinear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const kernels::GradientHome& home) {
    kernels::keep(context, home);
    context->save_for_backward({x, weight});
    return at::linear(x, weight);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto& home = kernels::kept<kernels::GradientHome>(context);
    at::Tensor memory = home ? home(saved[1]) : at::Tensor();
    if (!memory.defined()) memory = at::empty_like(saved[1]);
    at::mm_out(memory, gradients[0].t(), saved[0]);
    return {gradients[0].mm(saved[1]), memory, at::Tensor()};
  }
};

struct Outcome {
  std::vector<at::Tensor> gradients;
  int given = 0;
};

/// One step of two micro-batches a rank; `up` is used twice in each.
Outcome train(Communicator& world, MeshShape shape, bool homes, bool each_micro_batch) {
  Mesh mesh(world, shape);
  ParallelContext context{.seed = 5, .fsdp = {.reduce_each_micro_batch = each_micro_batch}};
  mesh.fill(context);
  Unit unit("block", {{"up", {kF, kD}, Init::normal(0.3)}, {"down", {kD, kF}, Init::normal(0.3)}},
            context);
  Unit::chain({&unit});
  Outcome outcome;
  for (int step = 0; step < 2; ++step) {
    unit.zero_gradient();
    for (int micro_batch = 0; micro_batch < 2; ++micro_batch) {
      UnitUse use = unit.enter();
      kernels::GradientHome home;
      if (homes)
        home = [&outcome, ask = use.gradient_home()](const at::Tensor& parameter) {
          const at::Tensor memory = ask(parameter);
          outcome.given += memory.defined();
          return memory;
        };
      const at::Tensor x = input(4 * step + 2 * micro_batch + mesh.data().rank());
      const at::Tensor f =
          at::silu(HomeLinear::apply(x, use[0], home)) + HomeLinear::apply(x.cos(), use[0], home);
      use.leave(HomeLinear::apply(f, use[1], home)).square().sum().backward();
    }
    unit.reduce_gradients();
    for (const char* name : {"up", "down"})
      outcome.gradients.push_back(unit.full_gradient(name).clone());
  }
  return outcome;
}

}  // namespace

TEST_CASE("fsdp: gradients written where the unit wants them are those that it copies",
          "[parallel][fsdp]") {
  const auto shape = GENERATE(MeshShape{1, 1}, MeshShape{1, 2}, MeshShape{2, 1}, MeshShape{2, 2});
  const bool each_micro_batch = GENERATE(true, false);
  INFO("replicate " << shape.replicate << " × shard " << shape.shard << ", each micro-batch "
                    << each_micro_batch);
  run_ranks(shape.replicate * shape.shard, [&](Communicator& world) {
    const Outcome copied = train(world, shape, false, each_micro_batch),
                  written = train(world, shape, true, each_micro_batch);
    // Two parameters in each of two steps: in place in the first micro-batch, split over ranks in both.
    const int expected = shape.shard == 1 ? 4 : each_micro_batch ? 8 : 0;
    CHECK(written.given == expected);
    for (size_t i = 0; i < copied.gradients.size(); ++i)
      CHECK(written.gradients[i].equal(copied.gradients[i]));
  });
}
