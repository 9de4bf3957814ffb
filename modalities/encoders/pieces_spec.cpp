#include "modalities/encoders/pieces_spec.h"

namespace veomni {
namespace {

using Place = BlockParameters::Place;

class Namer {
 public:
  Namer(UnitSpec& unit, std::string prefix) : unit_(unit), prefix_(std::move(prefix)) {}

  void whole(Place place, const std::string& name) {
    split(place, {{name, 0}});
    for (const size_t i : {place.weight, place.bias})
      if (i != BlockParameters::kAbsent)
        unit_.parameters[i].pieces[0].shape = unit_.parameters[i].shape;
  }

  /// Rows of each tensor; `unbiased`: the one without a bias.
  void split(Place place, const std::vector<std::pair<std::string, int64_t>>& rows,
             const std::string& unbiased = {}) {
    for (const auto& [name, count] : rows) {
      add(place.weight, name + ".weight", count);
      if (place.bias != BlockParameters::kAbsent && (unbiased.empty() || name != unbiased))
        add(place.bias, name + ".bias", count);
    }
  }

 private:
  void add(size_t parameter, const std::string& name, int64_t rows) {
    auto& spec = unit_.parameters[parameter];
    auto shape = spec.shape;
    shape[0] = rows;
    spec.pieces.push_back({prefix_ + name, shape});
  }

  UnitSpec& unit_;
  std::string prefix_;
};

}  // namespace

void name_block_pieces(UnitSpec& unit, const BlockConfig& config, const std::string& prefix,
                       const BlockTensors& tensors) {
  const BlockParameters at = block_parameters(config);
  const int64_t q = config.num_attention_heads * config.head_dim,
                kv = config.num_key_value_heads * config.head_dim;
  Namer namer(unit, prefix);
  namer.whole(at.input_norm, tensors.input_norm);
  if (tensors.qkv.empty())
    namer.split(at.qkv, {{tensors.q, q}, {tensors.k, kv}, {tensors.v, kv}},
                config.key_bias ? std::string() : tensors.k);
  else
    namer.whole(at.qkv, tensors.qkv);
  namer.whole(at.output, tensors.output);
  namer.whole(at.post_norm, tensors.post_norm);
  if (config.gated_mlp)
    namer.split(at.up,
                {{tensors.gate, config.intermediate_size}, {tensors.up, config.intermediate_size}});
  else
    namer.whole(at.up, tensors.up);
  namer.whole(at.down, tensors.down);
}

void name_piece(ParameterSpec& parameter, const std::string& tensor,
                const std::vector<int64_t>& shape) {
  parameter.pieces = {{tensor, shape.empty() ? parameter.shape : shape}};
}

Key from_key(const std::string& what) {
  return {
      .name = "from",
      .type = Key::Type::string,
      .doc = "directory of a Hugging Face model (" + what +
             "): its config.json gives the sizes, its weights the start; the projector to the base "
             "model starts fresh",
      .minimum = 1};
}

Key size_key(const char* name, const char* doc, int64_t value, double maximum) {
  return {.name = name,
          .type = Key::Type::integer,
          .doc = doc,
          .default_value = value,
          .minimum = 1,
          .maximum = maximum};
}

int64_t size_of(const PartConfig& config, const char* key) {
  return config.keys.at(key).get<int64_t>();
}

}  // namespace veomni
