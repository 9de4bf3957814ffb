#include "support/hugging_face_reference.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "core/data/grid_positions.h"
#include "core/error.h"
#include "support/paths.h"

namespace veomni::test {

namespace fs = std::filesystem;

namespace {

Json read_json(const fs::path& file) {
  return Json::parse(read_text_file(file.string(), 64 << 20));
}

}  // namespace

std::vector<fs::path> fixture_folders() {
  const fs::path source(source_dir());
  return {source / "test" / "fixtures" / "hf", source / ".." / "shared" / "fixtures" / "hf"};
}

std::vector<fs::path> fixture_directories() {
  std::vector<fs::path> found;
  for (const auto& folder : fixture_folders()) {
    if (!fs::exists(folder)) continue;
    for (const auto& entry : fs::directory_iterator(folder))
      if (fs::exists(entry.path() / "reference.safetensors") &&
          fs::exists(entry.path() / "config.json"))
        found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

Json config_of(const fs::path& directory) { return read_json(directory / "config.json"); }

std::string model_type_of(const fs::path& directory) {
  return config_of(directory).value("model_type", "");
}

Reference::Reference(const fs::path& directory)
    : file_(directory / "reference.safetensors"), json_(read_json(directory / "reference.json")) {}

at::Tensor Reference::tensor(const std::string& name) const {
  const auto& stored = file_.get(name);
  const auto type = stored.dtype == "F32"   ? at::kFloat
                    : stored.dtype == "I64" ? at::kLong
                                            : at::kInt;
  require<Error>(stored.dtype == "F32" || stored.dtype == "I64" || stored.dtype == "I32",
                 "{}: is {}", name, stored.dtype);
  return at::from_blob(const_cast<void*>(stored.data), stored.shape, type).clone();
}

void add_images(Batch& batch, const Recipe& recipe, const Reference& reference,
                const std::string& prefix) {
  if (!reference.has(prefix + "pixel_values")) return;
  const Json& keys = recipe.encoders.at(0).keys;
  const int64_t merge = keys["spatial_merge_size"];
  const auto grids = reference.tensor(prefix + "image_grid_thw");
  auto& input = batch.encoders.emplace_back();
  input.arrays = {reference.tensor(prefix + "pixel_values"), grids};
  input.rows = (batch.ids == keys["image_token_id"].get<int64_t>()).nonzero().squeeze(1);
  input.noise_keys = at::zeros_like(input.rows);
  Pack pack;
  pack.ids.resize(static_cast<size_t>(batch.token_count()));
  const auto* bounds = batch.cu_seqlens.const_data_ptr<int32_t>();
  pack.cu_seqlens.assign(bounds, bounds + batch.cu_seqlens.size(0));
  int64_t tokens = 0;
  for (int64_t i = 0; i < grids.size(0); ++i) {
    const auto* grid = grids.const_data_ptr<int64_t>() + 3 * i;
    auto piece = std::make_shared<PartInput>();
    piece->grids = {{grid[0], grid[1] / merge, grid[2] / merge}};
    piece->token_count = grid[0] * grid[1] * grid[2] / (merge * merge);
    pack.pieces.push_back({0, input.rows[tokens].item<int32_t>(), piece});
    tokens += piece->token_count;
    input.token_counts.push_back(piece->token_count);
  }
  const auto positions = grid_positions(pack);
  batch.positions = at::tensor(positions, at::kLong).view({3, batch.token_count()});
  const auto expected = reference.tensor(prefix + "position_ids").reshape({3, -1});
  if (expected.size(1) == batch.token_count()) CHECK(batch.positions.equal(expected));
}

}  // namespace veomni::test
