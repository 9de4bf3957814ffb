// Expert parallel: ranks that share the experts of a layer compute what one rank does.
#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <mutex>

#include "kernels/reference.h"
#include "parallel/comm/thread.h"
#include "parallel/expert/expert_parallel.h"
#include "support/same_run.h"

using namespace veomni;
using namespace veomni::test;

namespace {

struct Layout {
  int replicate, shard, sequence, expert;
};

void check_equal(const RunOutcome& many, const RunOutcome& one) {
  check_steps(many, one, "loss", 1e-5);
  check_steps(many, one, "grad_norm", 1e-5);
  check_gradients(many, one, 1e-5);
}

/// One MoE layer by `ranks` of them: each has its own tokens, all of the same experts' weights.
struct LayerCase {
  std::vector<int64_t> tokens;  ///< of each rank
  int64_t experts, used;        ///< only the first `used` are chosen
};

at::Tensor fixed(at::IntArrayRef shape, int64_t salt) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return ((at::arange(count, at::kDouble) * 0.7548776662 + 0.317 * static_cast<double>(salt))
              .frac() -
          0.5)
      .view(shape);
}

/// The largest difference of output and gradients between a rank's share and the reference on one rank, in f64.
double layer_error(const LayerCase& c, int parts) {
  constexpr int64_t kDim = 6, kWidth = 5, kChoices = 2;
  double worst = 0;
  std::mutex mutex;
  run_ranks(static_cast<int>(c.tokens.size()), [&](Communicator& world) {
    const int64_t ranks = world.size(), rank = world.rank(), local = c.experts / ranks;
    const int64_t count = c.tokens[static_cast<size_t>(rank)];
    const auto inputs = [&](int64_t salt) { return fixed({count, kDim}, 10 * rank + salt); };
    const auto chosen = ((at::arange(count * kChoices, at::kLong) * 3 + rank).remainder(c.used))
                            .view({count, kChoices});
    const auto all_up = fixed({c.experts, 2 * kWidth, kDim}, 3),
               all_down = fixed({c.experts, kDim, kWidth}, 4);
    const auto make = [&](const at::Tensor& x) { return x.clone().requires_grad_(); };
    auto x = make(inputs(1)), gates = make(fixed({count, kChoices}, 2));
    auto up = make(all_up.narrow(0, rank * local, local)),
         down = make(all_down.narrow(0, rank * local, local));
    const auto out = expert_parallel(
        {x, gates, chosen}, c.experts, {&world, parts},
        [&](const at::Tensor& rows, const at::Tensor& ones, const at::Tensor& which) {
          return kernels::reference::moe_experts(rows, ones, which, up, down);
        });
    const auto weight = fixed({count, kDim}, 20 + rank);
    (out * weight).sum().backward();
    auto x1 = make(inputs(1)), gates1 = make(fixed({count, kChoices}, 2)), up1 = make(all_up),
         down1 = make(all_down);
    const auto want = kernels::reference::moe_experts(x1, gates1, chosen, up1, down1);
    (want * weight).sum().backward();
    // The experts' gradients come from the tokens of all ranks.
    at::Tensor up_sum = up1.grad().contiguous(), down_sum = down1.grad().contiguous();
    world.all_reduce(up_sum);
    world.all_reduce(down_sum);
    const auto off = [](const at::Tensor& a, const at::Tensor& b) {
      return a.numel() == 0 ? 0.0 : (a - b).abs().max().item<double>();
    };
    double mine = std::max(off(out.detach(), want.detach()), off(x.grad(), x1.grad()));
    mine = std::max(mine, off(gates.grad(), gates1.grad()));
    mine = std::max(mine, off(up.grad(), up_sum.narrow(0, rank * local, local)));
    mine = std::max(mine, off(down.grad(), down_sum.narrow(0, rank * local, local)));
    const std::lock_guard lock(mutex);
    worst = std::max(worst, mine);
  });
  return worst;
}

}  // namespace

TEST_CASE(
    "expert: a shared layer is the reference's in f64, with idle experts and ranks without tokens",
    "[modalities][expert]") {
  for (const LayerCase& c :
       {LayerCase{{5, 9}, 4, 4}, LayerCase{{7, 0}, 4, 3}, LayerCase{{1, 1}, 2, 2},
        LayerCase{{33, 2, 0, 17}, 8, 2}, LayerCase{{4, 4, 4, 4}, 4, 4}})
    for (const int parts : {1, 2, 5}) {
      INFO(c.tokens.size() << " ranks, " << c.experts << " experts, " << c.used << " used, parts "
                           << parts);
      CHECK(layer_error(c, parts) < 1e-12);
    }
}

TEST_CASE("expert: losses of 10 steps and first gradients are one rank's", "[modalities][expert]") {
  const auto overlap = GENERATE(std::string("true"), std::string("false"));
  const auto balance = GENERATE(std::string("step"), std::string("pack"));
  TempDir folder;
  const auto recipe = write_moe_recipe(folder.path());
  const auto run = [&](const std::string& output, const Layout& layout) {
    return run_recipe(
        recipe, {.replicate = layout.replicate,
                 .shard = layout.shard,
                 .sequence = layout.sequence,
                 .expert = layout.expert,
                 .overrides = {"train.steps=10", "train.packs=3", "output=" + output,
                               "parallel.overlap=" + overlap, "model.base.balance=" + balance},
                 .keep_gradients = true});
  };
  const auto one = run("one", {1, 1, 1, 1});
  for (const auto& layout : {Layout{1, 2, 1, 2}, Layout{1, 1, 2, 2}, Layout{1, 2, 2, 2},
                             Layout{1, 2, 2, 4}, Layout{2, 2, 1, 2}, Layout{1, 4, 1, 2}}) {
    INFO("replicate " << layout.replicate << " shard " << layout.shard << " sequence "
                      << layout.sequence << " expert " << layout.expert << " overlap " << overlap
                      << " balance " << balance);
    check_equal(run("many", layout), one);
    std::filesystem::remove_all(folder.path() / "many");
  }
}

TEST_CASE("expert: a checkpoint resumes under any other layout", "[modalities][expert]") {
  TempDir folder;
  const auto recipe = write_moe_recipe(folder.path());
  const auto run = [&](const std::string& output, const Layout& layout, const std::string& resume) {
    return run_recipe(recipe,
                      {.replicate = layout.replicate,
                       .shard = layout.shard,
                       .sequence = layout.sequence,
                       .expert = layout.expert,
                       .overrides = {"train.steps=10", "output=" + output, "checkpoint.every=5"},
                       .resume = resume});
  };
  const auto one = run("one", {1, 1, 1, 1}, "");
  const auto shared = run("shared", {1, 2, 2, 4}, "");
  for (const std::string from : {"one", "shared"})
    for (const auto& layout : {Layout{1, 1, 1, 1}, Layout{1, 2, 1, 2}, Layout{2, 1, 2, 2}}) {
      INFO(from << " → shard " << layout.shard << " sequence " << layout.sequence << " expert "
                << layout.expert);
      const auto rest =
          run("rest", layout, (folder.path() / from / "checkpoints/step-00000005").string());
      REQUIRE(rest.steps.size() == 5);
      for (size_t s = 0; s < 5; ++s)
        CHECK(rest.steps[s]["loss"].get<double>() ==
              Approx(one.steps[s + 5]["loss"].get<double>()).epsilon(1e-5));
      std::filesystem::remove_all(folder.path() / "rest");
    }
}
