#include "modalities/heads/head_spec.h"

#include <cmath>

namespace veomni {

Key head_hidden_size_key() {
  return {.name = "hidden_size",
          .type = Key::Type::integer,
          .doc = "width of one SiLU layer before the output; 0: the output is linear",
          .default_value = 0,
          .minimum = 0,
          .maximum = 65536};
}

UnitSpec describe_head(const PartConfig& config, const BaseSizes& sizes, int64_t columns) {
  const std::string prefix = "heads." + config.name;
  const auto width = config.keys.at("hidden_size").get<int64_t>();
  UnitSpec unit{.name = prefix, .parameters = {}};
  int64_t in = sizes.hidden_size;
  const auto add = [&](const std::string& name, int64_t out, double deviation) {
    unit.parameters.push_back({name + ".weight", {out, in}, Init::normal(deviation)});
    unit.parameters.push_back({name + ".bias", {out}, Init::zeros(), false});
    unit.flops_per_token += 2.0 * static_cast<double>(out * in);
    unit.saved_bytes_per_token += 4.0 * static_cast<double>(in);
    in = out;
  };
  if (width > 0) add(prefix + ".dense", width, 1 / std::sqrt(static_cast<double>(in)));
  add(prefix + ".output", columns, 0.02);  // small, so that a fresh head predicts its prior
  return unit;
}

}  // namespace veomni
