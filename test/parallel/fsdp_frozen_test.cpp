// Units of which a part or the whole is frozen (train.groups).
#include "fsdp_net.h"
#include "parallel/comm/thread.h"
#include "parallel/fsdp/layout.h"
#include "parallel/mesh.h"

using namespace veomni;
using namespace veomni::test;

namespace {

using Groups = std::vector<GroupConfig>;

/// The first block, one in the middle, the last, and parts of all of them.
const std::vector<Groups> kFrozen{
    {{.match = "block.0.*", .frozen = true}},
    {{.match = "block.1.*", .frozen = true}},
    {{.match = "block.2.*", .frozen = true}},
    {{.match = "*.up", .frozen = true}, {.match = "*.bias", .lr = 1.0}},
    {{.match = "*.norm", .frozen = true}, {.match = "*.down", .frozen = true}},
    {{.match = "block.2.down", .lr = 1.0}, {.match = "*", .frozen = true}},
    {{.match = "*", .frozen = true}},
};

struct Outcome {
  std::map<std::string, at::Tensor> gradients;  // undefined: frozen
  at::Tensor input_gradient;
  int64_t after_forward = 0, most = 0, after_backward = 0, unit_bytes = 0;
};

/// Four lanes, whatever the ranks; `input_learns`: whether something below the net is trained.
Outcome run(Communicator& world, const Groups& groups, bool bf16, bool input_learns) {
  Mesh mesh(world, {1, world.size()});
  ParallelContext context{.seed = 11, .groups = groups, .compute_bf16 = bf16};
  mesh.fill(context);
  Net net(context);
  Outcome outcome;
  outcome.unit_bytes =
      world.size() * static_cast<int64_t>(net.units[0]->shard().master.numel()) * (bf16 ? 2 : 4);
  for (const auto& unit : net.units) unit->zero_gradient();
  for (int lane = world.rank(); lane < 4; lane += world.size()) {
    const at::Tensor x = input(lane).requires_grad_(input_learns);
    const at::Tensor loss = net.loss(x);
    outcome.after_forward = std::max(outcome.after_forward, net.held());
    if (loss.requires_grad()) loss.backward();
    outcome.after_backward = std::max(outcome.after_backward, net.held());
    if (lane == 0) outcome.input_gradient = x.grad();
  }
  outcome.most = net.most_bytes;
  Unit::reduce_gradients(net.pointers());
  for (const auto& unit : net.units) {
    for (const auto& spec : unit->parameters())
      outcome.gradients[spec.name] = unit->full_gradient(spec.name);
  }
  return outcome;
}

Outcome run_all(int ranks, const Groups& groups, bool bf16, bool input_learns) {
  std::vector<Outcome> outcomes(static_cast<size_t>(ranks));
  run_ranks(ranks, [&](Communicator& world) {
    outcomes[static_cast<size_t>(world.rank())] = run(world, groups, bf16, input_learns);
  });
  return outcomes[0];
}

}  // namespace

TEST_CASE("fsdp: the rest has the gradients it has when nothing is frozen",
          "[parallel][fsdp][groups][ranks]") {
  const bool bf16 = GENERATE(false, true);
  const Outcome all = run_all(1, {}, bf16, true);
  for (const bool input_learns : {true, false}) {
    for (const int ranks : {1, 2, 4}) {
      for (size_t f = 0; f < kFrozen.size(); ++f) {
        INFO("groups " << f << " on " << ranks << (bf16 ? " in bf16" : "")
                       << (input_learns ? "" : ", input without gradient"));
        const Outcome some = run_all(ranks, kFrozen[f], bf16, input_learns);
        for (const auto& [name, gradient] : all.gradients) {
          INFO(name);
          const auto& got = some.gradients.at(name);
          REQUIRE(got.defined() == !is_frozen(kFrozen[f], name));
          if (got.defined()) CHECK(relative(got, gradient) <= (bf16 && ranks > 1 ? 1e-5 : 1e-6));
        }
        if (input_learns) CHECK(relative(some.input_gradient, all.input_gradient) <= 1e-6);
        CHECK(some.after_forward == 0);
        CHECK(some.after_backward == 0);
        if (ranks > 1) CHECK(some.most <= some.unit_bytes + 4 * 16 * 4 * ranks);
      }
    }
  }
}

TEST_CASE("fsdp: a frozen unit holds one unit's parameters at a time in backward too",
          "[parallel][fsdp][groups][ranks]") {
  std::vector<int64_t> most(2), unit_bytes(2), gradients(2, -1);
  run_ranks(2, [&](Communicator& world) {
    const auto r = static_cast<size_t>(world.rank());
    ParallelContext context{.dense = &world, .groups = {{.match = "*", .frozen = true}}};
    Net net(context);
    unit_bytes[r] = 2 * static_cast<int64_t>(net.units[0]->shard().master.nbytes());
    at::Tensor x = input(0).requires_grad_();
    const at::Tensor loss = net.loss(x);
    const auto seen = [&](const at::Tensor& gradient) {
      most[r] = std::max(most[r], net.held());
      return gradient;
    };
    for (const auto& h : net.between) h.register_hook(seen);
    loss.backward();
    gradients[r] = net.units[0]->shard().gradient.numel();
  });
  // The gradient of what goes from block to block: the one done is empty, the next one is on its way.
  CHECK(most[0] > 0);
  CHECK(most[0] <= 2 * unit_bytes[0]);
  CHECK(gradients == std::vector<int64_t>{0, 0});
}

TEST_CASE("fsdp: frozen parameters lie behind the trained ones and have no gradient",
          "[parallel][fsdp][groups]") {
  const std::vector<ParameterSpec> parameters = [] {
    std::vector<ParameterSpec> specs{{"norm", {10}, Init::ones(), false},
                                     {"up", {14, 10}, Init::ones()},
                                     {"bias", {14}, Init::ones(), false},
                                     {"down", {10, 14}, Init::ones()}};
    specs[1].frozen = true;
    specs[2].group = 0;
    return specs;
  }();
  const int ranks = GENERATE(1, 3);
  const FlatLayout layout(parameters, ranks);
  CHECK(layout.order == std::vector<size_t>{3, 0, 2, 1});
  CHECK(layout.trained % (16 * ranks) == 0);
  CHECK(layout.total % (16 * ranks) == 0);
  CHECK(layout.starts[1] == layout.trained);
  std::map<std::string, int64_t> covered;
  for (int rank = 0; rank < ranks; ++rank) {
    for (const ShardSlice& slice : slices_of(layout, parameters, rank, ranks)) {
      INFO(slice.parameter << " on " << rank);
      CHECK(slice.begin == covered[slice.parameter]);
      covered[slice.parameter] = slice.end;
      CHECK((slice.offset < layout.trained / ranks) == (slice.parameter != "up"));
      CHECK(slice.offset + slice.end - slice.begin <= layout.total / ranks);
      CHECK(slice.group == (slice.parameter == "bias" ? 0 : kNoGroup));
    }
  }
  CHECK(covered ==
        std::map<std::string, int64_t>{{"norm", 10}, {"up", 140}, {"bias", 14}, {"down", 140}});
}
