// Models of test/fixtures/hf and shared/fixtures/hf: what transformers computes from these directories, computed by
// ours. Any directory there whose architecture we have is tested, with the tolerances its reference.json gives.
#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <set>

#include "kernels/optimizer.h"
#include "modalities/base/hugging_face_spec.h"
#include "modalities/import.h"
#include "modalities/model.h"
#include "parallel/comm/thread.h"
#include "parallel/mesh.h"
#include "support/hugging_face_reference.h"
#include "support/tiny_run.h"

using namespace veomni;
using namespace veomni::test;

namespace {

namespace fs = std::filesystem;

const std::set<std::string> kOurs = {"llama",   "mistral", "qwen2",    "qwen3",     "qwen3_moe",
                                     "mixtral", "gpt2",    "gpt_neox", "qwen2_5_vl"};

std::vector<fs::path> cases() {
  std::vector<fs::path> found;
  for (const auto& directory : fixture_directories())
    if (kOurs.contains(model_type_of(directory))) found.push_back(directory);
  return found;
}

/// A recipe that starts from the directory; its data is never read.
Recipe recipe_from(const fs::path& directory, const TempDir& folder) {
  register_all_parts();
  Json changes = token_data(folder.path());
  const auto config = config_of(directory);
  if (config.contains("num_experts_per_tok")) changes["model"]["base"]["balance"] = "pack";
  return read_recipe(write_from_recipe(folder.path(), directory, changes), {});
}

/// Samples end to end. Labels are shifted here: labels[t] of the fixture is the target at t - 1.
Batch make_batch(const at::Tensor& ids, const at::Tensor& labels, const at::Tensor& bounds) {
  Batch batch;
  batch.ids = ids.reshape({-1}).contiguous();
  const int64_t tokens = batch.ids.size(0);
  batch.cu_seqlens = bounds.to(at::kInt).contiguous();
  batch.positions = at::arange(tokens);
  batch.labels = at::full({tokens}, kIgnore, at::kLong);
  const auto flat = labels.reshape({-1});
  for (int64_t s = 0; s + 1 < bounds.size(0); ++s) {
    const int64_t begin = bounds[s].item<int64_t>(), end = bounds[s + 1].item<int64_t>();
    batch.positions.slice(0, begin, end).sub_(begin);
    if (end - begin > 1) batch.labels.slice(0, begin, end - 1).copy_(flat.slice(0, begin + 1, end));
  }
  batch.label_weights = at::ones({tokens}, at::kFloat);
  batch.noise_keys = at::zeros({tokens}, at::kLong);
  batch.text_labels = (batch.labels != kIgnore).sum().item<int64_t>();
  return batch;
}

Batch rows_batch(const at::Tensor& ids, const at::Tensor& labels) {
  return make_batch(ids, labels, at::arange(0, ids.numel() + 1, ids.size(1)));
}

/// `ranks` of them run the same batch, so each has its share of the counts.
ForwardOptions forward_options(const Model& model, const Batch& batch, bool train, int ranks) {
  ForwardOptions options;
  options.train = train;
  options.first_micro_batch = true;
  options.use.text = true;
  options.use.encoders.resize(batch.encoders.size(), true);
  options.step_tokens = static_cast<double>(batch.token_count() * ranks);
  for (const auto& term : model.losses())
    options.counts.push_back(term.name == "text" ? static_cast<double>(batch.text_labels * ranks)
                                                 : options.step_tokens);
  return options;
}

double worst(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

/// A model of the directory, imported; on several ranks each holds its shard.
struct Loaded {
  int ranks;
  const Recipe& recipe;
  std::unique_ptr<Mesh> mesh;
  ParallelContext context;
  std::unique_ptr<Model> model;

  /// `device`: cpu or cuda, where the ranks share one GPU.
  Loaded(const Recipe& its_recipe, Communicator& world, const std::string& device = "cpu")
      : ranks(world.size()),
        recipe(its_recipe),
        mesh(std::make_unique<Mesh>(world, MeshShape{1, world.size()})) {
    mesh->fill(context);
    context.cuda = open_shared_device(device, world);
    model = build_model(recipe, recipe.base.vocab_size, context);
    import_weights(model->shards(), recipe);
  }

  /// `image_embeds`: also filled, where the model has a vision encoder.
  at::Tensor logits(const Batch& batch, at::Tensor* image_embeds = nullptr) {
    at::Tensor hidden;
    auto options = forward_options(*model, batch, false, ranks);
    options.probe = [&](const std::string& name, const at::Tensor& value) {
      if (name == "model.norm") hidden = value.clone();
      if (image_embeds != nullptr && name.ends_with(".image_embeds")) *image_embeds = value.clone();
    };
    const at::NoGradGuard no_grad;
    model->forward(batch, options);
    const auto weight =
        recipe.base.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";
    return at::mm(hidden, model->full_parameter(weight).t()).cpu();
  }

  at::Tensor token_losses(const Batch& batch) {
    const at::NoGradGuard no_grad;
    return model->forward(batch, forward_options(*model, batch, false, ranks)).text_losses.cpu();
  }

  /// The objective; gradients are in the shards.
  double backward(const Batch& batch) {
    const auto options = forward_options(*model, batch, true, ranks);
    model->begin_step(options.use);
    auto out = model->forward(batch, options);
    out.objective.backward();
    model->reduce_gradients();
    return out.objective.item<double>() * ranks;
  }
};

void check_forward(Loaded& ours, const Reference& reference) {
  auto batch = rows_batch(reference.tensor("input_ids"), reference.tensor("labels"));
  add_images(batch, ours.recipe, reference, "");
  const auto expected = reference.tensor("logits");
  at::Tensor embeds;
  CHECK(worst(ours.logits(batch, &embeds), expected.view({-1, expected.size(-1)})) <
        reference.tolerance("logits_abs"));
  if (reference.has("image_embeds"))
    CHECK(worst(embeds.cpu(), reference.tensor("image_embeds")) <
          reference.tolerance("image_embeds_abs"));
  CHECK(worst(ours.token_losses(batch), reference.tensor("token_loss").view({-1})) <
        reference.tolerance("token_loss_abs"));
}

void check_packed(Loaded& ours, const Reference& reference) {
  auto batch = make_batch(reference.tensor("packed.input_ids"), reference.tensor("packed.labels"),
                          reference.tensor("packed.cu_seqlens").to(at::kLong));
  add_images(batch, ours.recipe, reference, "packed.");
  CHECK(worst(ours.logits(batch), reference.tensor("packed.logits")) <
        reference.tolerance("packed_logits_abs"));
  CHECK(worst(ours.token_losses(batch), reference.tensor("packed.token_loss")) <
        reference.tolerance("packed_token_loss_abs"));
}

at::Tensor piece_of(const at::Tensor& tensor, const HuggingFacePiece& piece) {
  if (piece.transposed) return tensor.t().contiguous().view({-1});
  return tensor.view({-1}).slice(0, piece.begin, piece.begin + piece.count());
}

/// Of every parameter of the encoders.
std::map<std::string, std::vector<HuggingFacePiece>> encoder_pieces(const Recipe& recipe) {
  std::map<std::string, std::vector<HuggingFacePiece>> pieces;
  for (const auto& part : recipe.encoders)
    for (const auto& unit : specs()
                                .get(SpecRegistry::Kind::encoder, part.type)
                                .describe(part, base_sizes(recipe, recipe.base.vocab_size)))
      for (const auto& parameter : unit.parameters) pieces[parameter.name] = parameter.pieces;
  return pieces;
}

void check_gradients(Loaded& ours, const Reference& reference) {
  auto batch = rows_batch(reference.tensor("input_ids"), reference.tensor("labels"));
  add_images(batch, ours.recipe, reference, "");
  const auto of_encoders = encoder_pieces(ours.recipe);
  CHECK(std::abs(ours.backward(batch) - reference.json()["loss"]["loss"].get<double>()) <
        reference.tolerance("loss_abs"));
  const double global = reference.json()["gradients"]["global_l2"].get<double>();
  std::map<std::string, std::pair<double, double>> squares;  // of difference and reference
  for (const auto& name : ours.model->parameter_names()) {
    const auto gradient = ours.model->full_gradient(name).cpu();
    int64_t start = 0;
    const auto found = of_encoders.find(name);
    for (const auto& piece :
         found != of_encoders.end()
             ? found->second
             : hugging_face_pieces(name, gradient.sizes().vec(), ours.recipe.base)) {
      const auto mine = gradient.view({-1}).slice(0, start, start + piece.count());
      const auto theirs = piece_of(reference.tensor("grad." + piece.tensor), piece);
      squares[piece.tensor].first += (mine - theirs).square().sum().item<double>();
      squares[piece.tensor].second += theirs.square().sum().item<double>();
      start += piece.count();
    }
  }
  CHECK(squares.size() == reference.json()["gradients"]["l2"].size());
  for (const auto& [tensor, sums] : squares) {
    INFO(tensor);
    const double scale = std::max(std::sqrt(sums.second), 1e-3 * global);
    CHECK(std::sqrt(sums.first) / scale < reference.tolerance("grad_rel_l2"));
  }
}

void check_generation(Loaded& ours, const Reference& reference) {
  auto ids = reference.tensor("gen.prompt_ids");
  const auto expected = reference.tensor("gen.new_ids");
  std::vector<int64_t> made;
  for (int64_t i = 0; i < expected.size(0); ++i) {
    const auto bounds = at::arange(0, ids.size(0) + 1, ids.size(0));
    const at::NoGradGuard no_grad;
    auto batch = make_batch(ids, at::full_like(ids, kIgnore), bounds);
    add_images(batch, ours.recipe, reference, "gen.");
    const auto next = ours.model->next_token_logits(batch).argmax().cpu();
    made.push_back(next.item<int64_t>());
    ids = at::cat({ids, next.view({1})});
  }
  CHECK(made == std::vector<int64_t>(expected.const_data_ptr<int64_t>(),
                                     expected.const_data_ptr<int64_t>() + expected.numel()));
}

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

/// Whether a parameter's values are those of the file, piece by piece.
bool equals_file(const at::Tensor& values, const std::string& parameter,
                 const SafetensorsFile& file, const BaseConfig& base) {
  int64_t start = 0;
  for (const auto& piece : hugging_face_pieces(parameter, values.sizes().vec(), base)) {
    const auto& stored = file.get(piece.tensor);
    const auto tensor =
        at::from_blob(const_cast<void*>(stored.data), stored.shape, at::kFloat).clone();
    const auto mine = values.view({-1}).slice(0, start, start + piece.count());
    if (!mine.equal(piece_of(tensor, piece))) return false;
    start += piece.count();
  }
  return true;
}

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

/// Everything that a fixture has, but its training, on one rank.
void check_fixture(const fs::path& directory, const std::string& device) {
  INFO(directory.filename().string());
  const Reference reference(directory);
  const TempDir folder;
  const Recipe recipe = recipe_from(directory, folder);
  run_ranks(1, [&](Communicator& world) {
    Loaded ours(recipe, world, device);
    if (reference.has("logits")) check_forward(ours, reference);
    if (reference.has("packed.logits")) check_packed(ours, reference);
    if (reference.json().contains("gradients")) check_gradients(ours, reference);
    if (reference.has("gen.new_ids")) check_generation(ours, reference);
  });
}

void check_training(const fs::path& directory, int ranks, const std::string& device) {
  INFO(directory.filename().string() << " on " << ranks);
  const TempDir folder;
  const Recipe recipe = recipe_from(directory, folder);
  Distance distance;
  run_ranks(ranks, [&](Communicator& world) {
    const Reference own(directory);
    Loaded ours(recipe, world, device);
    const Distance mine = follow_training(ours, own, world);
    if (world.rank() == 0) distance = mine;
  });
  const Json tolerance = Reference(directory).json()["tolerance"]["training"];
  CHECK(distance.loss < tolerance["loss_abs"].get<double>());
  CHECK(distance.grad_norm < tolerance["grad_norm_rel"].get<double>());
  CHECK(distance.final_logits < tolerance["final_logits_abs"].get<double>());
}

}  // namespace

TEST_CASE(
    "hugging face: fixtures give transformers' logits, losses, gradients, packs and greedy ids",
    "[hugging_face]") {
  if (!fs::exists(fixture_folders().back()))
    WARN("skipped in part: no fixtures beside the checkout");
  for (const auto& directory : cases()) check_fixture(directory, "cpu");
}

TEST_CASE(
    "hugging face: on 1, 2 and 4 ranks import gives the same parameters, whatever their layout in "
    "the file",
    "[hugging_face]") {
  for (const char* name : {"gpt2", "gpt_neox", "mixtral", "llama_biases"}) {
    const auto directory = fixture_folders().front() / name;
    const TempDir folder;
    const Recipe recipe = recipe_from(directory, folder);
    const SafetensorsFile file(directory / "model.safetensors");
    for (const int ranks : {1, 2, 4}) {
      INFO(name << " on " << ranks);
      std::string wrong;  // of rank 0: assertions stay on this thread
      run_ranks(ranks, [&](Communicator& world) {
        Loaded ours(recipe, world);
        for (const auto& parameter : ours.model->parameter_names()) {
          const auto values = ours.model->full_parameter(parameter);
          if (world.rank() == 0 && !equals_file(values, parameter, file, recipe.base))
            wrong += parameter + " ";
        }
      });
      CHECK(wrong.empty());
    }
  }
}

TEST_CASE("hugging face: 20 training steps follow transformers', on 1, 2 and 4 ranks",
          "[hugging_face]") {
  for (const auto& directory : cases())
    if (Reference(directory).has("train.input_ids"))
      for (const int ranks : {1, 2, 4}) check_training(directory, ranks, "cpu");
}

TEST_CASE(
    "hugging face: fixtures on a GPU, and their training steps on 1 and 2 ranks that share it",
    "[.gpu]") {
  for (const auto& directory : cases()) {
    check_fixture(directory, "cuda");
    if (!Reference(directory).has("train.input_ids")) continue;
    for (const int ranks : {1, 2}) check_training(directory, ranks, "cuda");
  }
}
