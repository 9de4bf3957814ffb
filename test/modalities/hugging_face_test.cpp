// Models of test/fixtures/hf and shared/fixtures/hf: what transformers computes from these directories, computed by
// ours. Any directory there whose architecture we have is tested, with the tolerances its reference.json gives.
#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <map>

#include "modalities/base/hugging_face_spec.h"
#include "parallel/comm/thread.h"
#include "support/hugging_face_model.h"

using namespace veomni;
using namespace veomni::test;

namespace {

namespace fs = std::filesystem;

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

/// How far the gradients of one batch are from transformers', and its loss.
struct GradientError {
  std::map<std::string, double> relative;  ///< by tensor of the directory
  double loss = 0;
};

GradientError gradient_error(Loaded& ours, const Reference& reference) {
  auto batch = rows_batch(reference.tensor("input_ids"), reference.tensor("labels"));
  add_images(batch, ours.recipe, reference, "");
  const auto of_encoders = encoder_pieces(ours.recipe);
  GradientError error;
  error.loss = std::abs(ours.backward(batch) - reference.json()["loss"]["loss"].get<double>());
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
  for (const auto& [tensor, sums] : squares)
    error.relative[tensor] =
        std::sqrt(sums.first) / std::max(std::sqrt(sums.second), 1e-3 * global);
  return error;
}

void check_gradients(const GradientError& error, const Reference& reference) {
  CHECK(error.loss < reference.tolerance("loss_abs"));
  CHECK(error.relative.size() == reference.json()["gradients"]["l2"].size());
  for (const auto& [tensor, relative] : error.relative) {
    INFO(tensor);
    CHECK(relative < reference.tolerance("grad_rel_l2"));
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

/// Everything that a fixture has, but its training, on one rank.
void check_fixture(const fs::path& directory, const std::string& device) {
  INFO(directory.filename().string());
  const Reference reference(directory);
  const TempDir folder;
  const Recipe recipe = recipe_from(directory, folder);
  run_ranks(1, [&](Communicator& world) {
    Loaded ours(recipe, world, {}, device);
    if (reference.has("logits")) check_forward(ours, reference);
    if (reference.has("packed.logits")) check_packed(ours, reference);
    if (reference.json().contains("gradients"))
      check_gradients(gradient_error(ours, reference), reference);
    if (reference.has("gen.new_ids")) check_generation(ours, reference);
  });
}

}  // namespace

TEST_CASE(
    "hugging face: fixtures give transformers' logits, losses, gradients, packs and greedy ids",
    "[hugging_face]") {
  if (!fs::exists(fixture_folders().back()))
    WARN("skipped in part: no fixtures beside the checkout");
  for (const auto& directory : model_fixtures()) check_fixture(directory, "cpu");
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

// Among them Qwen2.5-VL, whose image and multimodal positions are cut.
TEST_CASE("hugging face: gradients are transformers' where ranks share the tokens",
          "[hugging_face]") {
  for (const auto& directory : model_fixtures()) {
    const Reference reference(directory);
    if (!reference.json().contains("gradients")) continue;
    const TempDir folder;
    const Recipe recipe = recipe_from(directory, folder);
    INFO(directory.filename().string());
    GradientError error;
    run_ranks(2, [&](Communicator& world) {
      const Reference own(directory);
      Loaded ours(recipe, world, {.shard = 1, .sequence = 2});
      const auto mine = gradient_error(ours, own);
      if (world.rank() == 0) error = mine;
    });
    check_gradients(error, reference);
  }
}

TEST_CASE("hugging face: fixtures on a GPU", "[.gpu]") {
  for (const auto& directory : model_fixtures()) check_fixture(directory, "cuda");
}
