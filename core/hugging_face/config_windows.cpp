// Attention within a window: which layers of which architectures, in config.json and in model.base.
#include <algorithm>
#include <string>
#include <vector>

#include "core/hugging_face/config_reader.h"

namespace veomni {
namespace {

constexpr int64_t kMostLayers = 65536;  ///< a list has an entry for each
constexpr const char *kFull = "full_attention", *kSliding = "sliding_attention";

/// The window that config.json asks for, as transformers understands it; 0: none.
int64_t window_asked(ConfigReader& reader, const Architecture& architecture) {
  const bool known = architecture.windows != Architecture::Windows::none;
  const bool flag = reader.flag("use_sliding_window", known && !architecture.window_flag);
  const Json window = reader.get("sliding_window");
  if (!flag) return 0;
  if (!known)
    reader.fail("use_sliding_window", "attention of this architecture has no window; remove it");
  if (!reader.has("sliding_window")) return architecture.default_window;
  return window.is_null() ? 0 : reader.size("sliding_window");
}

int64_t first_with_window(ConfigReader& reader, const Architecture& architecture) {
  const Json given = reader.get("max_window_layers");
  return given == 0 ? 0 : reader.size("max_window_layers", architecture.max_window_layers);
}

/// Which layers have the window: as config.json lists them, or as transformers makes it of max_window_layers; nothing: all.
std::vector<std::string> types_of_layers(ConfigReader& reader, const Architecture& architecture,
                                         int64_t layers) {
  const Json listed = reader.get("layer_types");
  std::vector<std::string> types;
  if (listed.is_null()) {
    if (architecture.windows != Architecture::Windows::by_layer) return {};
    const int64_t first = first_with_window(reader, architecture);
    for (int64_t layer = 0; layer < layers; ++layer)
      types.push_back(layer < first ? kFull : kSliding);
    return types;
  }
  if (!listed.is_array() || static_cast<int64_t>(listed.size()) != layers)
    reader.fail("layer_types", fmt::format("must be a list of {} entries, one a layer", layers));
  for (const Json& type : listed) {
    if (type != kFull && type != kSliding)
      reader.fail("layer_types", fmt::format("{} is not supported; {} and {} are",
                                             json_excerpt(type), kFull, kSliding));
    types.push_back(type.get<std::string>());
  }
  return types;
}

}  // namespace

void read_windows(ConfigReader& reader, const Architecture& architecture, Json& base) {
  const int64_t window = window_asked(reader, architecture),
                layers = base.at("num_hidden_layers").get<int64_t>();
  if (window == 0 && reader.get("layer_types").is_null()) return;
  if (layers > kMostLayers)
    reader.fail("num_hidden_layers", fmt::format("is {}, must be at most {}", layers, kMostLayers));
  const auto types = types_of_layers(reader, architecture, layers);
  const auto sliding = std::count(types.begin(), types.end(), kSliding);
  if (window == 0 && sliding > 0)
    reader.fail("layer_types", fmt::format("has {}, but there is no sliding_window", kSliding));
  const bool all = sliding == static_cast<int64_t>(types.size());
  if (architecture.windows == Architecture::Windows::all && window > 0 && !all)
    reader.fail("layer_types", fmt::format("has {}, but sliding_window is of all layers of {}",
                                           kFull, architecture.model_type));
  if (window == 0 || (sliding == 0 && !all)) return;
  base["sliding_window"] = window;
  if (!all) base["layer_types"] = types;
}

void write_windows(const Json& base, const Architecture& architecture, Json& config) {
  if (!base.contains("sliding_window")) return;
  config["sliding_window"] = base.at("sliding_window");
  if (architecture.window_flag) config["use_sliding_window"] = true;
  if (architecture.windows != Architecture::Windows::by_layer) return;
  const std::vector<std::string> all(base.at("num_hidden_layers").get<size_t>(), kSliding);
  const auto types = base.value("layer_types", all);
  config["layer_types"] = types;
  // For readers that do not know layer_types.
  config["max_window_layers"] = std::find(types.begin(), types.end(), kSliding) - types.begin();
}

}  // namespace veomni
