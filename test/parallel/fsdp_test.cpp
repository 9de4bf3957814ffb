#include "core/error.h"
#include "fsdp_net.h"
#include "parallel/comm/thread.h"
#include "parallel/mesh.h"

using namespace veomni;
using namespace veomni::test;

namespace {

struct Layout {
  int replicate, shard;
};

struct Outcome {
  std::vector<at::Tensor> gradients, parameters;  // of the first step; after all steps
  at::Tensor input_gradient;
};

/// Two SGD steps on kMicroBatches · 4 lanes, whatever the ranks.
Outcome train(Communicator& world, Layout layout, bool bf16, const FsdpSettings& settings) {
  Mesh mesh(world, {layout.replicate, layout.shard});
  ParallelContext context{.seed = 11, .fsdp = settings, .compute_bf16 = bf16};
  mesh.fill(context);
  Net net(context);
  Outcome outcome;
  for (int step = 0; step < 2; ++step) {
    for (const auto& unit : net.units) unit->zero_gradient();
    for (int64_t lane = mesh.data().rank(); lane < 4 * kMicroBatches; lane += mesh.data().size()) {
      const at::Tensor x = input(static_cast<int>(lane)).requires_grad_();
      net.loss(x).backward();
      if (lane == 0 && step == 0) outcome.input_gradient = x.grad().clone();
    }
    Unit::reduce_gradients(net.pointers());
    const at::NoGradGuard no_grad;
    for (const auto& unit : net.units) {
      for (const auto& spec : unit->parameters()) {
        if (step == 0) outcome.gradients.push_back(unit->full_gradient(spec.name));
      }
      unit->shard().master.sub_(unit->shard().gradient, 1e-3);
    }
  }
  for (const auto& unit : net.units) {
    for (const auto& spec : unit->parameters())
      outcome.parameters.push_back(unit->full_parameter(spec.name));
  }
  return outcome;
}

std::vector<Outcome> train_all(Layout layout, bool bf16, const FsdpSettings& settings = {}) {
  std::vector<Outcome> outcomes(static_cast<size_t>(layout.replicate * layout.shard));
  run_ranks(layout.replicate * layout.shard, [&](Communicator& world) {
    outcomes[static_cast<size_t>(world.rank())] = train(world, layout, bf16, settings);
  });
  return outcomes;
}

void check_close(const std::vector<at::Tensor>& got, const std::vector<at::Tensor>& want,
                 double most) {
  REQUIRE(got.size() == want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    INFO("parameter " << i << ": " << relative(got[i], want[i]));
    CHECK(relative(got[i], want[i]) <= most);
  }
}

/// The same network written with plain tensors.
Outcome plain_reference() {
  Outcome outcome;
  std::vector<at::Tensor> p;
  run_ranks(1, [&](Communicator& world) {
    ParallelContext context{.dense = &world, .seed = 11};
    Net net(context);
    for (const auto& unit : net.units) {
      for (const auto& spec : unit->parameters()) p.push_back(unit->full_parameter(spec.name));
    }
  });
  for (auto& t : p) t.set_requires_grad(true);
  for (int lane = 0; lane < 4 * kMicroBatches; ++lane) {
    const at::Tensor x = input(lane).requires_grad_();
    at::Tensor h = x, auxiliary = at::zeros({});
    for (size_t i = 0; i < kUnits * 5; i += 5) {
      const at::Tensor f = at::silu(at::linear(h * p[i], p[i + 1], p[i + 2]));
      h = h + at::linear(f, p[i + 3]);
      auxiliary = auxiliary + f.softmax(-1).square().sum();
    }
    (h.square().sum() + auxiliary).backward();
    if (lane == 0) outcome.input_gradient = x.grad();
  }
  for (const auto& t : p)
    outcome.gradients.push_back(t.grad().defined() ? t.grad() : at::zeros_like(t));
  return outcome;
}

}  // namespace

TEST_CASE("fsdp: N ranks equal one rank and plain tensors, gradients and parameters after SGD",
          "[parallel][fsdp][ranks]") {
  const Outcome one = train_all({1, 1}, false)[0], plain = plain_reference();
  check_close(one.gradients, plain.gradients, 1e-6);
  CHECK(relative(one.input_gradient, plain.input_gradient) <= 1e-6);
  const Layout layout =
      GENERATE(Layout{1, 2}, Layout{2, 1}, Layout{2, 2}, Layout{1, 4}, Layout{4, 1});
  const auto outcomes = train_all(layout, false);
  CHECK(relative(outcomes[0].input_gradient, one.input_gradient) <= 1e-6);
  for (size_t rank = 0; rank < outcomes.size(); ++rank) {
    INFO("replicate " << layout.replicate << " × shard " << layout.shard << ", rank " << rank);
    check_close(outcomes[rank].gradients, one.gradients, 1e-6);
    check_close(outcomes[rank].parameters, one.parameters, 1e-6);
    for (size_t i = 0; i < outcomes[rank].parameters.size(); ++i) {
      CHECK(outcomes[rank].parameters[i].equal(outcomes[0].parameters[i]));
    }
  }
}

TEST_CASE("fsdp: what is kept and when gradients travel changes no result",
          "[parallel][fsdp][ranks]") {
  using Reshard = FsdpSettings::Reshard;
  const Outcome one = train_all({1, 1}, false)[0];
  const Layout layout = GENERATE(Layout{1, 2}, Layout{2, 2});
  for (const int64_t prefetch : {0, 1, 2, 5})
    for (const Reshard reshard : {Reshard::always, Reshard::never, Reshard::automatic})
      for (const bool each : {true, false}) {
        INFO("prefetch " << prefetch << ", reshard " << static_cast<int>(reshard) << ", each "
                         << each);
        const auto outcome = train_all(layout, false, {prefetch, reshard, each})[0];
        check_close(outcome.gradients, one.gradients, 1e-6);
        check_close(outcome.parameters, one.parameters, 1e-6);
      }
}

TEST_CASE(
    "fsdp: units stay gathered through forward where they are kept, and as many as prefetch says",
    "[parallel][fsdp][ranks]") {
  const auto most_units = [](const FsdpSettings& settings) {
    std::vector<int64_t> most(2), after(2);
    run_ranks(2, [&](Communicator& world) {
      ParallelContext context{.dense = &world, .seed = 11, .fsdp = settings};
      Net net(context);
      const at::Tensor x = input(0).requires_grad_();
      const auto loss = net.loss(x);
      const int64_t unit_bytes = 4 * 2 * net.units[0]->shard().master.numel();
      most[static_cast<size_t>(world.rank())] = net.most_bytes / unit_bytes;
      after[static_cast<size_t>(world.rank())] = net.held() / unit_bytes;
      loss.backward();
      Unit::reduce_gradients(net.pointers());
      if (net.held() != 0) throw Error("gathered parameters are left over");
    });
    CHECK(most[0] == most[1]);
    CHECK(after[0] == after[1]);
    return std::pair(most[0], after[0]);
  };
  using Reshard = FsdpSettings::Reshard;
  CHECK(most_units({0, Reshard::always}) == std::pair<int64_t, int64_t>(0, 0));
  CHECK(most_units({1, Reshard::always}) == std::pair<int64_t, int64_t>(1, 0));
  CHECK(most_units({2, Reshard::always}) == std::pair<int64_t, int64_t>(2, 0));
  CHECK(most_units({0, Reshard::never}) == std::pair<int64_t, int64_t>(kUnits, kUnits));
  CHECK(most_units({1, Reshard::automatic}) == std::pair<int64_t, int64_t>(kUnits, kUnits));
}

TEST_CASE("fsdp: bf16 computation keeps f32 masters and sums", "[parallel][fsdp][ranks]") {
  const Outcome exact = train_all({1, 1}, false)[0], one = train_all({1, 1}, true)[0];
  check_close(one.gradients, exact.gradients, 2e-2);
  const Layout layout = GENERATE(Layout{1, 2}, Layout{2, 2});
  check_close(train_all(layout, true)[1].gradients, one.gradients, 1e-6);
}

TEST_CASE("fsdp: initial values are the same bits in every layout", "[parallel][fsdp][ranks]") {
  std::vector<at::Tensor> want;
  for (const int size : {1, 2, 3, 4}) {
    std::vector<at::Tensor> got;
    run_ranks(size, [&](Communicator& world) {
      ParallelContext context{.dense = &world, .seed = 5};
      Net net(context);
      for (const auto& unit : net.units) {
        for (const auto& spec : unit->parameters()) {
          const at::Tensor whole = unit->full_parameter(spec.name);
          if (world.rank() == size - 1) got.push_back(whole);
        }
      }
    });
    if (want.empty()) want = got;
    for (size_t i = 0; i < want.size(); ++i) CHECK(got[i].equal(want[i]));
  }
  CHECK(want[0].equal(at::ones({kD})));
  CHECK(want[1].std().item<double>() == Approx(0.3).epsilon(0.2));
}

TEST_CASE("fsdp: slices cover every parameter once, decayed ones first",
          "[parallel][fsdp][ranks]") {
  const int size = GENERATE(1, 3);
  std::vector<Shard> shards(static_cast<size_t>(size));
  run_ranks(size, [&](Communicator& world) {
    ParallelContext context{.dense = &world};
    Net net(context);
    shards[static_cast<size_t>(world.rank())] = net.units[0]->shard();
  });
  std::map<std::string, int64_t> covered;
  bool decay = true;
  for (const Shard& shard : shards) {
    CHECK(shard.master.numel() % 16 == 0);
    int64_t offset = 0;
    for (const ShardSlice& slice : shard.slices) {
      CHECK(slice.offset >= offset);
      CHECK(slice.begin == covered[slice.parameter]);
      CHECK((decay || !slice.decay));
      decay = slice.decay;
      covered[slice.parameter] = slice.end;
      offset = slice.offset + slice.end - slice.begin;
      CHECK(offset <= shard.master.numel());
    }
  }
  CHECK(covered == std::map<std::string, int64_t>{{"block.0.norm", kD},
                                                  {"block.0.up", kF * kD},
                                                  {"block.0.bias", kF},
                                                  {"block.0.down", kD * kF},
                                                  {"block.0.unused", 3}});
}

TEST_CASE("fsdp: gathered storage is empty after leave and after backward",
          "[parallel][fsdp][ranks]") {
  std::vector<int64_t> most(2), after_forward(2), after_backward(2), evaluated(2), unit_bytes(2);
  run_ranks(2, [&](Communicator& world) {
    ParallelContext context{.dense = &world};
    Net net(context);
    const auto r = static_cast<size_t>(world.rank());
    unit_bytes[r] = 2 * static_cast<int64_t>(net.units[0]->shard().master.nbytes());
    const at::Tensor loss = net.loss(input(0));
    most[r] = net.most_bytes;
    after_forward[r] = net.held();
    loss.backward();
    after_backward[r] = net.held();
    Unit::reduce_gradients(net.pointers());
    const at::NoGradGuard no_grad;
    net.loss(input(0));
    evaluated[r] = net.held();
  });
  CHECK(most[0] == unit_bytes[0]);  // the unit ahead
  CHECK(after_forward[0] == 0);
  CHECK(after_backward[0] == 0);
  CHECK(evaluated[0] == 0);
}

TEST_CASE("fsdp: a unit without gradient is marked unused and does not hang",
          "[parallel][fsdp][ranks]") {
  const int size = GENERATE(1, 2);
  std::vector<int> ok(static_cast<size_t>(size));
  run_ranks(size, [&](Communicator& world) {
    ParallelContext context{.dense = &world, .replicate = nullptr};
    Net net(context);
    net.units[1]->shard().gradient.fill_(7);
    for (const auto& unit : net.units) unit->zero_gradient();
    {  // entered, left, but its output is not in the loss
      UnitUse use = net.units[1]->enter();
      use.leave(use[1].sum());
    }
    UnitUse use = net.units[0]->enter();
    use.leave(use[1].square().sum()).backward();
    Unit::reduce_gradients(net.pointers());
    ok[static_cast<size_t>(world.rank())] =
        net.units[0]->shard().used && !net.units[1]->shard().used && !net.units[2]->shard().used &&
        net.units[1]->shard().gradient.eq(0).all().item<bool>() &&
        net.units[0]
            ->full_gradient("block.0.up")
            .equal(2 * size * net.units[0]->full_parameter("block.0.up")) &&
        net.units[0]->full_gradient("block.0.bias").eq(0).all().item<bool>();
  });
  CHECK(std::count(ok.begin(), ok.end(), 1) == size);
}

TEST_CASE("fsdp: a unit entered twice in one forward sums both gradients",
          "[parallel][fsdp][ranks]") {
  const int size = GENERATE(1, 2);
  std::vector<int> ok(static_cast<size_t>(size));
  run_ranks(size, [&](Communicator& world) {
    ParallelContext context{.dense = &world};
    Unit unit("tied", {{"w", {5, 5}, Init::normal(1)}}, context);
    const auto apply = [&](const at::Tensor& x) {
      UnitUse use = unit.enter();
      return use.leave(x.mm(use[0]));
    };
    apply(apply(at::eye(5))).sum().backward();
    unit.reduce_gradients();
    const at::Tensor w = unit.full_parameter("w").requires_grad_();
    w.mm(w).sum().backward();
    ok[static_cast<size_t>(world.rank())] =
        at::allclose(unit.full_gradient("w"), size * w.grad(), 1e-5, 1e-5);
  });
  CHECK(std::count(ok.begin(), ok.end(), 1) == size);
}
