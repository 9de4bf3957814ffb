// Encoder work over ranks that have packs of their own: even, and the same results.
#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "core/train/step_input.h"
#include "modalities/loss_terms.h"
#include "parallel/comm/thread.h"
#include "parallel/mesh.h"
#include "support/same_run.h"

using namespace veomni;
using namespace veomni::test;

namespace {

constexpr int kSteps = 12;
constexpr size_t kPhoto = 0;  // of the recipe's encoders
constexpr int64_t kImagePatches = 4;

using Steps = std::vector<StepInput>;

/// What each rank of the world loads, without a model.
std::vector<Steps> load(const Recipe& recipe, const MeshShape& shape, bool balance) {
  const int world_size = shape.replicate * shape.copy_size();
  std::vector<Steps> loaded(static_cast<size_t>(world_size));
  run_ranks(world_size, [&](Communicator& world) {
    Mesh mesh(world, shape, balance);
    const auto data = open_dataset(recipe, nullptr);
    const auto terms = loss_terms(recipe);
    auto share = share_lanes(mesh.data().rank(), mesh.data().size(), recipe.train.packs, 1);
    share.balance_encoders = balance;
    StepLoader loader(recipe, *data, terms, mesh.data(), share,
                      {mesh.sequence().rank(), mesh.sequence().size()});
    data->start(loader.lanes(), nullptr);
    for (int step = 0; step < kSteps; ++step)
      loaded[static_cast<size_t>(world.rank())].push_back(loader.next());
  });
  return loaded;
}

int64_t patches(const EncoderInput& input) {
  return input.arrays.empty() || input.dummy ? 0 : input.arrays[0].size(0);
}

/// The patches that each rank encodes in a micro-batch.
std::vector<int64_t> work(const std::vector<Steps>& ranks, size_t step, size_t micro_batch) {
  std::vector<int64_t> found;
  for (const auto& steps : ranks)
    found.push_back(patches(steps[step].micro_batches[micro_batch].batch.encoders[kPhoto]));
  return found;
}

int64_t sum(const std::vector<int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), int64_t{0});
}

/// What arrives at each rank when embedding i of `from` is row i of value(from): the exchange by its definition.
template <class F>
at::Tensor arriving(const std::vector<EncoderInput>& inputs, size_t rank, size_t first, size_t size,
                    const F& value) {
  const auto& own = inputs[rank];
  if (own.send_counts.empty()) return value(own).narrow(0, 0, own.rows.size(0));
  std::vector<at::Tensor> pieces;
  for (size_t from = first; from < first + size; ++from) {
    const auto& counts = inputs[from].send_counts;
    REQUIRE(counts.size() == size);
    const auto to = static_cast<int64_t>(rank - first);
    const auto begin = std::accumulate(counts.begin(), counts.begin() + to, int64_t{0});
    const auto rows = inputs[from].send_rows.narrow(0, begin, counts[static_cast<size_t>(to)]);
    pieces.push_back(value(inputs[from]).index_select(0, rows));
    REQUIRE(own.receive_counts[from - first] == rows.size(0));
  }
  return at::cat(pieces);
}

/// For each rank the value of each token of its batch that an image fills.
template <class F>
std::vector<at::Tensor> placed(const std::vector<Steps>& ranks, size_t step, size_t micro_batch,
                               size_t sequence, const F& value) {
  std::vector<EncoderInput> inputs;
  for (const auto& steps : ranks)
    inputs.push_back(steps[step].micro_batches[micro_batch].batch.encoders[kPhoto]);
  std::vector<at::Tensor> out;
  for (size_t r = 0; r < ranks.size(); ++r) {
    if (inputs[r].arrays.empty()) {
      out.emplace_back();
      continue;
    }
    const bool all = inputs[r].balanced;
    const auto rows = arriving(inputs, r, all ? 0 : r / sequence * sequence,
                               all ? ranks.size() : sequence, value);
    const auto& batch = ranks[r][step].micro_batches[micro_batch].batch;
    const auto filled = at::full({batch.token_count(), rows.size(1)}, -1, rows.options());
    out.push_back(filled.index_copy(0, inputs[r].rows, rows));
  }
  return out;
}

const auto kPatchOf = [](const EncoderInput& input) { return input.arrays[0]; };
const auto kKeyOf = [](const EncoderInput& input) { return input.noise_keys.unsqueeze(1); };

void check_same(const std::vector<at::Tensor>& got, const std::vector<at::Tensor>& want) {
  for (size_t r = 0; r < want.size(); ++r) {
    REQUIRE(got[r].defined() == want[r].defined());
    if (want[r].defined()) CHECK(got[r].equal(want[r]));
  }
}

/// The busiest rank's work, summed over micro-batches; whether the data allowed and gave an even deal is checked on the way.
int64_t check_step(const std::vector<Steps>& balanced, size_t step, int& even) {
  int64_t busiest = 0;
  const auto ranks = static_cast<int64_t>(balanced.size());
  for (size_t m = 0; m < balanced[0][step].micro_batches.size(); ++m) {
    const auto found = work(balanced, step, m);
    const auto [least, most] = std::minmax_element(found.begin(), found.end());
    busiest += *most;
    if (sum(found) <= 10 * kImagePatches * ranks) continue;  // an image is 10 % of a rank's work
    CHECK(10 * (*most - *least) * ranks < sum(found));
    ++even;
  }
  return busiest;
}

Recipe uneven(const TempDir& folder) {
  register_all_parts();
  return read_recipe(write_uneven_recipe(folder.path()), {});
}

}  // namespace

TEST_CASE("balance: ranks encode as much as one another, and each token gets its own image's patch",
          "[modalities][balance]") {
  const TempDir folder;
  const auto recipe = uneven(folder);
  const auto shape = GENERATE(MeshShape{1, 2}, MeshShape{2, 2}, MeshShape{1, 2, 2});
  INFO(shape.text());
  const auto own = load(recipe, shape, false), balanced = load(recipe, shape, true);
  int without_images = 0, even = 0;
  for (size_t step = 0; step < kSteps; ++step) {
    INFO("step " << step);
    int64_t busiest = 0, total = 0;
    for (size_t m = 0; m < own[0][step].micro_batches.size(); ++m) {
      INFO("micro-batch " << m);
      const auto before = work(own, step, m);
      const auto [least, most] = std::minmax_element(before.begin(), before.end());
      if (*least == 0 && *most > 10 * kImagePatches) ++without_images;
      busiest += *most;
      total += sum(before);
      const auto sequence = static_cast<size_t>(shape.sequence);
      check_same(placed(balanced, step, m, sequence, kPatchOf),
                 placed(own, step, m, sequence, kPatchOf));
      check_same(placed(balanced, step, m, sequence, kKeyOf),
                 placed(own, step, m, sequence, kKeyOf));
    }
    CHECK(own[0][step].encoder_work.empty());
    const auto told = balanced.back()[step].encoder_work.at(kPhoto);
    CHECK(told.before == busiest);
    CHECK(told.total == total);
    CHECK(told.after == check_step(balanced, step, even));
  }
  CHECK(without_images > 0);
  CHECK(even > 0);
}

TEST_CASE("balance: losses of 20 steps and first gradients are one rank's",
          "[modalities][balance]") {
  const TempDir folder;
  const auto recipe = write_uneven_recipe(folder.path());
  const auto one = run_recipe(recipe, {.overrides = {"output=one"}, .keep_gradients = true});
  const auto accumulate = GENERATE(false, true);
  for (const auto& shape : {MeshShape{1, 2}, MeshShape{2, 1}, MeshShape{1, 4}, MeshShape{2, 2},
                            MeshShape{1, 2, 2}, MeshShape{2, 1, 2}}) {
    INFO(shape.text() << (accumulate ? ", a pack at a time" : ""));
    const auto many = run_recipe(recipe, {.replicate = shape.replicate,
                                          .shard = shape.shard,
                                          .sequence = shape.sequence,
                                          .overrides = {"output=many"},
                                          .keep_gradients = true,
                                          .accumulate = accumulate});
    check_steps(many, one, "loss", 1e-6);
    check_steps(many, one, "grad_norm", 1e-5);
    check_gradients(many, one, 1e-5);
    check_evaluation(many, one, 1e-4);
    double before = 0, after = 0;
    for (const auto& step : many.steps) {
      if (!step["encoder_imbalance"].contains("photo")) continue;
      before += step["encoder_imbalance"]["photo"]["before"].get<double>();
      after += step["encoder_imbalance"]["photo"]["after"].get<double>();
    }
    CHECK(after < before);
    std::filesystem::remove_all(folder.path() / "many");
  }
}

TEST_CASE("balance: a frozen encoder's work is shared as well", "[modalities][balance]") {
  const TempDir folder;
  const auto recipe = write_uneven_recipe(folder.path());
  const auto run = [&](int shard, const std::string& output) {
    return run_recipe(
        recipe, {.shard = shard,
                 .overrides = {"output=" + output, "train.steps=4",
                               R"(train.groups=[{"match":"encoders.photo.*","frozen":true}])"}});
  };
  check_steps(run(2, "many"), run(1, "one"), "loss", 1e-6);
}

TEST_CASE(
    "balance: without it, and on one rank, nothing is dealt, and the metrics say nothing of it",
    "[modalities][balance]") {
  const TempDir folder;
  const auto recipe = write_uneven_recipe(folder.path());
  const auto off = run_recipe(
      recipe, {.shard = 2,
               .overrides = {"output=off", "train.steps=2", "parallel.balance_encoders=false"}});
  const auto one = run_recipe(recipe, {.overrides = {"output=one", "train.steps=2"}});
  for (const auto* run : {&off, &one}) {
    CHECK_FALSE(run->steps.at(0).contains("encoder_imbalance"));
    CHECK((!run->steps.at(0).contains("comm") || !run->steps.at(0)["comm"].contains("encoders")));
  }
}
