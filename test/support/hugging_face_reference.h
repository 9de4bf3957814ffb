#pragma once
// test/fixtures/hf and shared/fixtures/hf: model directories with what transformers computes from them.

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/checkpoint/safetensors.h"
#include "core/json.h"
#include "core/recipe/recipe.h"
#include "core/train/batch.h"

namespace veomni::test {

/// Our own folder of them, and the shared one.
std::vector<std::filesystem::path> fixture_folders();
/// All of them, sorted; of the shared ones none where they are not beside the checkout.
std::vector<std::filesystem::path> fixture_directories();

Json config_of(const std::filesystem::path& directory);
std::string model_type_of(const std::filesystem::path& directory);

/// reference.safetensors and reference.json of one directory.
class Reference {
 public:
  explicit Reference(const std::filesystem::path& directory);
  bool has(const std::string& name) const { return file_.find(name) != nullptr; }
  at::Tensor tensor(const std::string& name) const;
  double tolerance(const std::string& name) const {
    return json_.at("tolerance").at(name).get<double>();
  }
  const Json& json() const { return json_; }

 private:
  SafetensorsFile file_;
  Json json_;
};

/// The images of a fixture with a vision encoder: their patches, where their tokens go, and the positions of all tokens,
/// which must be the fixture's. `prefix`: "", "packed." or "gen.".
void add_images(Batch& batch, const Recipe& recipe, const Reference& reference,
                const std::string& prefix);

}  // namespace veomni::test
