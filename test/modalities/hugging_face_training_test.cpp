// 20 training steps of the fixtures, as transformers took them, under any layout.
#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "kernels/optimizer.h"
#include "parallel/comm/thread.h"
#include "support/hugging_face_model.h"

using namespace veomni;
using namespace veomni::test;

namespace {

namespace fs = std::filesystem;

double gradient_norm(Model& model, Communicator& world) {
  auto squares = at::zeros({1}, at::kDouble);
  for (auto* shard : model.shards()) squares[0] += kernels::sum_of_squares(shard->gradient);
  world.all_reduce(squares);
  return std::sqrt(squares.item<double>());
}

/// The fixture's AdamW: decay on whatever has two dimensions or more.
class FixtureAdamW {
 public:
  explicit FixtureAdamW(Model& model) : model_(model) {
    for (auto* shard : model.shards())
      states_.push_back({at::zeros_like(shard->master), at::zeros_like(shard->master)});
  }
  void update(kernels::AdamW settings) {
    const auto shards = model_.shards();
    for (size_t i = 0; i < shards.size(); ++i)
      for (const auto& slice : shards[i]->slices) {
        settings.weight_decay = slice.shape.size() >= 2 ? 0.1 : 0.0;
        const auto part = [&](const at::Tensor& x) {
          return x.narrow(0, slice.offset, slice.end - slice.begin);
        };
        auto parameter = part(shards[i]->master), m = part(states_[i].first),
             v = part(states_[i].second);
        kernels::adamw_(parameter, part(shards[i]->gradient), m, v, settings);
      }
  }

 private:
  Model& model_;
  std::vector<std::pair<at::Tensor, at::Tensor>> states_;
};

struct Distance {
  double loss = 0, grad_norm = 0, final_logits = 0;
};

/// Largest distances from the 20 steps of the fixture.
Distance follow_training(Loaded& ours, const Reference& reference, Communicator& world) {
  const Json& training = reference.json()["training"];
  const auto ids = reference.tensor("train.input_ids"), labels = reference.tensor("train.labels");
  FixtureAdamW optimizer(*ours.model);
  Distance distance;
  for (int64_t step = 0; step < ids.size(0); ++step) {
    const Json& expected = training["steps"][static_cast<size_t>(step)];
    const double loss = ours.backward(rows_batch(ids[step], labels[step]));
    const double norm = gradient_norm(*ours.model, world);
    distance.loss = std::max(distance.loss, std::abs(loss - expected["loss"].get<double>()));
    distance.grad_norm =
        std::max(distance.grad_norm, std::abs(norm / expected["grad_norm"].get<double>() - 1));
    optimizer.update({.lr = expected["lr"].get<double>(),
                      .beta1 = training["optimizer"]["betas"][0],
                      .beta2 = training["optimizer"]["betas"][1],
                      .eps = training["optimizer"]["eps"],
                      .step = step + 1,
                      .gradient_scale = std::min(1.0, 1.0 / (norm + 1e-6))});
  }
  const auto batch = rows_batch(reference.tensor("input_ids"), reference.tensor("labels"));
  const auto expected = reference.tensor("train.final_logits");
  distance.final_logits = worst(ours.logits(batch), expected.view({-1, expected.size(-1)}));
  return distance;
}

void check_training(const fs::path& directory, MeshShape shape, const std::string& device = "cpu") {
  const TempDir folder;
  const Recipe recipe = recipe_from(directory, folder);
  if (recipe.base.num_experts == 0) shape.expert = 1;
  INFO(directory.filename().string() << " with " << shape.text());
  Distance distance;
  run_ranks(shape.replicate * shape.shard * shape.sequence, [&](Communicator& world) {
    const Reference own(directory);
    Loaded ours(recipe, world, shape, device);
    const Distance mine = follow_training(ours, own, world);
    if (world.rank() == 0) distance = mine;
  });
  const Json tolerance = Reference(directory).json()["tolerance"]["training"];
  CHECK(distance.loss < tolerance["loss_abs"].get<double>());
  CHECK(distance.grad_norm < tolerance["grad_norm_rel"].get<double>());
  CHECK(distance.final_logits < tolerance["final_logits_abs"].get<double>());
}

std::vector<fs::path> trained_fixtures() {
  std::vector<fs::path> found;
  for (const auto& directory : model_fixtures())
    if (Reference(directory).has("train.input_ids")) found.push_back(directory);
  return found;
}

}  // namespace

TEST_CASE(
    "hugging face: 20 training steps follow transformers', sharded, with shared tokens and shared "
    "experts",
    "[hugging_face]") {
  for (const auto& directory : trained_fixtures())
    for (const auto& shape : {MeshShape{1, 1}, MeshShape{1, 2}, MeshShape{1, 4},
                              MeshShape{1, 1, 2, 2}, MeshShape{1, 2, 2, 4}})
      check_training(directory, shape);
}

TEST_CASE("hugging face: 20 training steps on a GPU that ranks share", "[.gpu]") {
  for (const auto& directory : trained_fixtures())
    for (const auto& shape : {MeshShape{1, 1}, MeshShape{1, 2}, MeshShape{1, 1, 2, 2}})
      check_training(directory, shape, "cuda");
}
