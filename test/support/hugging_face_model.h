#pragma once
// A model of a fixture's directory, imported and run on the fixture's samples.

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/train/model.h"
#include "modalities/model.h"
#include "parallel/mesh.h"
#include "support/hugging_face_reference.h"
#include "support/temp_dir.h"

namespace veomni::test {

/// The fixtures whose architecture we have.
std::vector<std::filesystem::path> model_fixtures();

/// A recipe that starts from the directory; its data is never read.
Recipe recipe_from(const std::filesystem::path& directory, const TempDir& folder);

/// Samples end to end. Labels are shifted here: labels[t] of the fixture is the target at t - 1.
Batch make_batch(const at::Tensor& ids, const at::Tensor& labels, const at::Tensor& bounds);
/// Each row of ids a sample.
Batch rows_batch(const at::Tensor& ids, const at::Tensor& labels);

double worst(const at::Tensor& a, const at::Tensor& b);

/// A model of the directory, imported; every rank of the mesh holds its share.
struct Loaded {
  const Recipe& recipe;
  Communicator& world;
  Mesh mesh;
  ParallelContext context;
  std::unique_ptr<Model> model;

  /// `device`: cpu or cuda, where the ranks share one GPU.
  Loaded(const Recipe& its_recipe, Communicator& its_world, MeshShape shape = {},
         const std::string& device = "cpu");

  /// `image_embeds`: also filled, where the model has a vision encoder.
  at::Tensor logits(const Batch& batch, at::Tensor* image_embeds = nullptr);
  at::Tensor token_losses(const Batch& batch);

  /// The objective of a batch that every lane has; gradients are in the shards. Collective.
  double backward(const Batch& batch);

 private:
  ForwardOptions options_for(const Batch& batch, bool train) const;
};

}  // namespace veomni::test
