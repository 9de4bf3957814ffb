// Pretrained encoders of test/fixtures/hf and shared/fixtures/hf: what transformers computes from these directories, computed by ours. Any
// directory there whose architecture we have is tested, with the tolerances its reference.json gives.
#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "modalities/encoder.h"
#include "modalities/import.h"
#include "parallel/comm/thread.h"
#include "parallel/mesh.h"
#include "support/hugging_face_reference.h"
#include "support/tiny_run.h"

using namespace veomni;
using namespace veomni::test;

namespace {

namespace fs = std::filesystem;

/// A way to run an encoder, and the tensor it must give. All ways of a model share the gradient.
struct Way {
  std::string type, tokens, output;
};

std::vector<Way> ways_of(const std::string& model_type) {
  if (model_type.starts_with("siglip") || model_type.starts_with("clip"))
    return {{"image", "patches", "last_hidden_state"}, {"image", "pooled", "pooler_output"}};
  if (model_type == "whisper") return {{"audio", "frames", "last_hidden_state"}};
  return {};
}

Recipe recipe_of(const fs::path& directory, const Way& way, int64_t width, const TempDir& folder) {
  register_all_parts();
  std::ofstream(folder.path() / "m.jsonl") << "{\"file\": \"x\", \"label\": 0}\n";
  Json recipe = Json::parse(R"({
  "name": "encoder",
  "model": { "base": { "hidden_size": 0, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2 },
             "heads": { "label": { "type": "classification", "classes": 2 } } },
  "data": { "sources": [ { "name": "m", "format": "media", "path": "m.jsonl", "images": ["file"],
    "sample": [ { "part": "part", "field": "file" } ], "targets": { "label": "label" } } ] },
  "train": { "steps": 1, "packs": 1, "pack_tokens": 64 }, "output": "run" })");
  recipe["model"]["base"]["hidden_size"] = width;
  recipe["model"]["encoders"]["part"] = {
      {"type", way.type}, {"from", directory.string()}, {"tokens", way.tokens}};
  const auto file = folder.path() / "recipe.json";
  std::ofstream(file) << recipe.dump(1);
  return read_recipe(file.string(), {});
}

/// The inputs of the reference as our preprocessors give them.
EncoderInput input_of(const Reference& reference, const Recipe& recipe) {
  const Json& keys = recipe.encoders[0].keys;
  EncoderInput input;
  if (reference.has("pixel_values")) {
    const auto pixels = reference.tensor("pixel_values");
    const int64_t n = pixels.size(0), p = keys["patch_size"], side = pixels.size(2) / p;
    input.arrays = {pixels.view({n, 3, side, p, side, p})
                        .permute({0, 2, 4, 1, 3, 5})
                        .reshape({n * side * side, 3 * p * p}),
                    at::full({n, 2}, side, at::kLong)};
    input.noise_keys = at::zeros({keys["tokens"] == "pooled" ? n : n * side * side}, at::kLong);
  } else {
    const auto features = reference.tensor("input_features");
    const int64_t n = features.size(0), outputs = features.size(2) / 2;
    input.arrays = {features, at::full({n}, outputs, at::kLong)};
    input.noise_keys = at::zeros({n * outputs}, at::kLong);
  }
  return input;
}

/// An encoder of the directory, its projector the identity; on several ranks each holds its shard.
struct Loaded {
  Mesh mesh;
  ParallelContext context;
  BuildContext build;
  std::unique_ptr<Encoder> encoder;

  Loaded(const Recipe& recipe, Communicator& world, const std::string& device)
      : mesh(world, MeshShape{1, world.size()}), build{recipe, base_sizes(recipe, 0), context, {}} {
    mesh.fill(context);
    context.cuda = open_shared_device(device, world);
    register_all_parts();
    const auto& part = recipe.encoders[0];
    encoder = encoders().make(part.type, part, build);
    import_weights(shards(), recipe);
    const auto eye = at::eye(recipe.base.hidden_size).view({-1});
    for (auto* shard : shards())
      for (const auto& slice : shard->slices)
        if (slice.parameter.ends_with("projector.weight"))
          shard->master.narrow(0, slice.offset, slice.end - slice.begin)
              .copy_(eye.slice(0, slice.begin, slice.end));
  }

  std::vector<Shard*> shards() {
    std::vector<Shard*> all;
    for (auto* unit : encoder->units()) all.push_back(&unit->shard());
    return all;
  }
};

using Gradients = std::map<std::string, at::Tensor>;

/// Runs one way forward and backward: returns its loss, adds to the gradients by the directory's names.
double run_way(const fs::path& directory, const Way& way, Communicator& world,
               const std::string& device, Gradients& gradients) {
  const Reference reference(directory);
  const TempDir folder;
  const auto target = reference.tensor("target_" + way.output);
  const Recipe recipe = recipe_of(directory, way, target.size(-1), folder);
  Loaded ours(recipe, world, device);
  for (auto* unit : ours.encoder->units()) unit->zero_gradient();
  const auto out = ours.encoder->lm_encode(input_of(reference, recipe), Pass{.train = true}).cpu();
  const auto flat = [&](const at::Tensor& x) { return x.reshape({-1, x.size(-1)}); };
  if (world.rank() == 0)
    gradients["worst." + way.output] =
        (out.detach() - flat(reference.tensor(way.output))).abs().max();
  const auto loss = (out - flat(target)).square().mean();
  (loss / world.size()).backward();
  for (auto* unit : ours.encoder->units()) unit->reduce_gradients();
  for (auto* unit : ours.encoder->units())
    for (const auto& parameter : unit->parameters()) {
      const auto gradient = unit->full_gradient(parameter.name).cpu().view({-1});
      int64_t start = 0;
      for (const auto& piece : parameter.pieces) {
        auto& sum = gradients[piece.tensor];
        const auto mine = gradient.slice(0, start, start + piece.count()).clone();
        sum = sum.defined() ? sum + mine : mine;
        start += piece.count();
      }
    }
  return loss.item<double>();
}

void check_gradients(const Reference& reference, const Gradients& gradients) {
  const Json& norms = reference.json()["gradients"]["l2"];
  const double global = reference.json()["gradients"]["global_l2"];
  const auto is_left_out = [&](const std::string& name) {
    for (const Json& line : reference.json()["gradients"].value("left_out", Json::array()))
      if (line.get<std::string>().starts_with(name)) return true;
    return false;
  };
  for (const auto& [name, norm] : norms.items()) {
    if (is_left_out(name)) continue;
    INFO(name);
    REQUIRE(gradients.count(name) == 1);
    const auto theirs = reference.tensor("grad." + name).view({-1});
    const double scale = std::max(theirs.norm().item<double>(), 1e-3 * global);
    CHECK((gradients.at(name) - theirs).norm().item<double>() / scale <
          reference.tolerance("grad_rel_l2"));
  }
  for (const auto& [name, gradient] : gradients) {  // the rest does not train
    if ((norms.contains(name) && !is_left_out(name)) || name.starts_with("worst.")) continue;
    INFO(name);
    CHECK(gradient.abs().max().item<double>() == 0);
  }
}

/// How many directories were tested.
int check_fixtures(const std::string& device) {
  int tested = 0;
  for (const auto& directory : fixture_directories()) {
    const auto ways = ways_of(model_type_of(directory));
    if (ways.empty()) continue;
    ++tested;
    const Reference reference(directory);
    for (const int ranks : {1, 2}) {
      INFO(directory.filename().string() << " on " << ranks);
      Gradients gradients;
      double loss = 0;
      run_ranks(ranks, [&](Communicator& world) {
        Gradients own;
        double sum = 0;
        for (const auto& way : ways) sum += run_way(directory, way, world, device, own);
        if (world.rank() == 0) gradients = own, loss = sum;
      });
      for (const auto& way : ways)
        CHECK(gradients.at("worst." + way.output).item<double>() <
              reference.tolerance(way.output + "_abs"));
      CHECK(std::abs(loss - reference.json()["loss"]["loss"].get<double>()) <
            reference.tolerance("loss_abs"));
      check_gradients(reference, gradients);
    }
  }
  return tested;
}

}  // namespace

TEST_CASE("encoders: fixtures give transformers' outputs, loss and gradients, on 1 and 2 ranks",
          "[modalities][hugging_face]") {
  if (check_fixtures("cpu") == 0) WARN("skipped: no fixtures beside the checkout");
}

TEST_CASE("encoders: fixtures on a GPU, on 1 and 2 ranks that share it", "[.gpu]") {
  if (check_fixtures("cuda") == 0) WARN("skipped: no fixtures beside the checkout");
}
