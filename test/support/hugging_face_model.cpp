#include "support/hugging_face_model.h"

#include <ATen/ATen.h>

#include <set>

#include "core/data/sample.h"
#include "modalities/import.h"
#include "parallel/comm/thread.h"
#include "support/tiny_run.h"

namespace veomni::test {
namespace fs = std::filesystem;
namespace {

const std::set<std::string> kOurs = {"llama",   "mistral", "qwen2",    "qwen3",     "qwen3_moe",
                                     "mixtral", "gpt2",    "gpt_neox", "qwen2_5_vl"};

/// Every rank encodes all images, and the first one's embeddings are those that are used.
void share_embeddings(EncoderInput& input, int64_t row_tokens, SequencePlace place) {
  std::vector<int64_t> out, mine;
  const auto places = input.rows;
  input.send_counts.assign(static_cast<size_t>(place.size), 0);
  input.receive_counts = input.send_counts;
  for (int owner = 0; owner < place.size; ++owner)
    for (int64_t i = 0; i < places.size(0); ++i) {
      const auto token = places[i].item<int64_t>();
      if (place.owner(row_tokens, token) != owner) continue;
      if (place.rank == 0) out.push_back(i), ++input.send_counts[static_cast<size_t>(owner)];
      if (place.rank != owner) continue;
      mine.push_back(token - place.begin(row_tokens));
      ++input.receive_counts[0];
    }
  input.send_rows = at::tensor(out, at::kLong);
  input.rows = at::tensor(mine, at::kLong);
}

/// The share of a row's tokens that this rank has.
Batch share_of(const Batch& row, SequencePlace place) {
  Batch share = row;
  const int64_t begin = place.begin(row.row_tokens()), end = place.end(row.row_tokens());
  for (at::Tensor* x : {&share.ids, &share.labels, &share.label_weights, &share.noise_keys})
    *x = x->slice(0, begin, end);
  share.text_labels = (share.labels != kIgnore).sum().item<int64_t>();
  share.place = place;
  for (auto& input : share.encoders) share_embeddings(input, row.row_tokens(), place);
  return share;
}

}  // namespace

std::vector<fs::path> model_fixtures() {
  std::vector<fs::path> found;
  for (const auto& directory : fixture_directories())
    if (kOurs.contains(model_type_of(directory))) found.push_back(directory);
  return found;
}

Recipe recipe_from(const fs::path& directory, const TempDir& folder) {
  register_all_parts();
  Json changes = token_data(folder.path());
  const auto config = config_of(directory);
  if (config.contains("num_experts_per_tok")) changes["model"]["base"]["balance"] = "pack";
  return read_recipe(write_from_recipe(folder.path(), directory, changes), {});
}

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

double worst(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

Loaded::Loaded(const Recipe& its_recipe, Communicator& its_world, MeshShape shape,
               const std::string& device)
    : recipe(its_recipe), world(its_world), mesh(world, shape) {
  mesh.fill(context);
  context.cuda = open_shared_device(device, world);
  model = build_model(recipe, recipe.base.vocab_size, context);
  import_weights(model->shards(), recipe);
}

/// Every lane has the same batch, so each has its share of the counts.
ForwardOptions Loaded::options_for(const Batch& batch, bool train) const {
  const auto lanes = static_cast<double>(mesh.shape().replicate * mesh.shape().shard);
  ForwardOptions options;
  options.train = train;
  options.first_micro_batch = true;
  options.use.text = true;
  options.use.encoders.resize(batch.encoders.size(), true);
  options.step_tokens = static_cast<double>(batch.token_count()) * lanes;
  for (const auto& term : model->losses())
    options.counts.push_back(term.name == "text" ? static_cast<double>(batch.text_labels) * lanes
                                                 : options.step_tokens);
  return options;
}

at::Tensor Loaded::logits(const Batch& batch, at::Tensor* image_embeds) {
  at::Tensor hidden;
  auto options = options_for(batch, false);
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

at::Tensor Loaded::token_losses(const Batch& batch) {
  const at::NoGradGuard no_grad;
  return model->forward(batch, options_for(batch, false)).text_losses.cpu();
}

double Loaded::backward(const Batch& batch) {
  const auto options = options_for(batch, true);
  const SequencePlace place{mesh.place().sequence, mesh.shape().sequence};
  model->begin_step(options.use);
  auto out = model->forward(place.size > 1 ? share_of(batch, place) : batch, options);
  out.objective.backward();
  model->reduce_gradients();
  auto sum = out.objective.detach().to(at::kDouble).cpu();
  world.all_reduce(sum);
  return sum.item<double>();
}

}  // namespace veomni::test
