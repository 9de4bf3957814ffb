#include "cmd/engine/start_weights.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <optional>
#include <sstream>

#include "core/train/gather.h"
#include "modalities/import.h"

namespace veomni {
namespace {

/// VmRSS or VmHWM of this process; 0 where the system does not say.
int64_t memory_bytes(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key + ":")) return std::atoll(line.c_str() + key.size() + 1) * 1024;
  return 0;
}

int64_t parameter_bytes(Model& model) {
  int64_t bytes = 0;
  for (const auto* shard : model.shards()) bytes += static_cast<int64_t>(shard->master.nbytes());
  return bytes;
}

/// The largest of what each rank gives. Collective.
int64_t largest(Communicator& world, int64_t mine) {
  int64_t most = mine;
  for (const auto& text : gather_texts(world, std::to_string(mine)))
    most = std::max<int64_t>(most, std::atoll(text.c_str()));
  return most;
}

}  // namespace

std::string build_from_directory(Session& session, const Recipe& recipe) {
  std::optional<StartWeights> weights;
  session.together([&] { weights.emplace(recipe); });
  const int64_t before = memory_bytes("VmRSS");
  session.build(recipe, nullptr);
  const auto start = std::chrono::steady_clock::now();
  session.together([&] { weights->fill(session.model().shards()); });
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const int64_t more = largest(session.world(), memory_bytes("VmHWM") - before);
  const int64_t kept = largest(session.world(), parameter_bytes(session.model()));
  return fmt::format(
      "loaded {:.2f} GB{} in {:.2f} s (at most {} MB more memory for {} MB of parameters a rank)",
      static_cast<double>(weights->bytes()) * 1e-9,
      recipe.from.empty() ? "" : " from " + recipe.from, seconds, more / 1000000, kept / 1000000);
}

}  // namespace veomni
