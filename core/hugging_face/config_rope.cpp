// Rotary positions in config.json: rope_parameters of transformers 5, or rope_theta and rope_scaling of the Hub.
#include <map>

#include "core/hugging_face/config_reader.h"
#include "core/recipe/family.h"

namespace veomni {
namespace {

/// Parameters of each type, true where they must be there; rope_theta, rope_type and type come besides.
const std::map<std::string, std::map<std::string, bool>> kParameters = {
    {"default", {}},
    {"linear", {{"factor", true}}},
    {"dynamic", {{"factor", true}}},
    {"llama3",
     {{"factor", true},
      {"low_freq_factor", true},
      {"high_freq_factor", true},
      {"original_max_position_embeddings", false}}},
    {"yarn",
     {{"factor", true},
      {"original_max_position_embeddings", false},
      {"attention_factor", false},
      {"beta_fast", false},
      {"beta_slow", false},
      {"mscale", false},
      {"mscale_all_dim", false},
      {"truncate", false}}}};

/// The object that decides, and its key: transformers takes rope_scaling before rope_parameters.
std::pair<std::string, Json> rope_object(ConfigReader& reader) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const Json rope = reader.get(key);
    if (!rope.is_null() && !rope.is_object()) reader.fail(key, "must be an object");
  }
  const Json scaling = reader.get("rope_scaling");
  if (!scaling.is_null() && !scaling.empty()) return {"rope_scaling", scaling};
  const Json parameters = reader.get("rope_parameters");
  return {"rope_parameters", parameters.is_null() ? Json::object() : parameters};
}

/// rope_type and its parameters, in the form of model.base.rope_scaling.
Json read_scaling(ConfigReader& reader, const std::string& key, const Json& rope, bool is_vision) {
  Json type = rope.value("rope_type", rope.value("type", Json("default")));
  if (is_vision && type == "mrope") type = "default";  // its name on the Hub
  const auto known =
      type.is_string() ? kParameters.find(type.get<std::string>()) : kParameters.end();
  if (known == kParameters.end())
    reader.fail(key, fmt::format("rope_type {} is not supported; default, linear, dynamic, llama3 "
                                 "and yarn are",
                                 json_excerpt(type)));
  Json scaling = {{"rope_type", type}};
  for (const auto& [name, value] : rope.items()) {
    if (name == "rope_type" || name == "type" || name == "rope_theta" ||
        name == "partial_rotary_factor" || (name == "mrope_section" && is_vision) ||
        value.is_null())
      continue;
    if (!known->second.contains(name))
      reader.fail(key, fmt::format("{} {} is not supported with rope_type {}", shown(name),
                                   json_excerpt(value), json_excerpt(type)));
    if (name == "truncate" ? !value.is_boolean() : !value.is_number())
      reader.fail(
          key, fmt::format("{} must be {}, not {}", name,
                           name == "truncate" ? "true or false" : "a number", json_excerpt(value)));
    scaling[name] = value;
  }
  for (const auto& [name, required] : known->second)
    if (required && !scaling.contains(name))
      reader.fail(key,
                  fmt::format("{} is missing; rope_type {} needs it", name, json_excerpt(type)));
  return scaling;
}

}  // namespace

void read_rope(ConfigReader& reader, const Architecture& architecture, Json& base) {
  const auto [key, rope] = rope_object(reader);
  const Family& family = family_of(architecture.family);
  double theta = reader.number(family.partial_rotary ? "rotary_emb_base" : "rope_theta",
                               architecture.rope_theta);
  if (family.partial_rotary) theta = reader.number("rope_theta", theta);
  const auto number_in = [&, &its_key = key, &its_rope = rope](const char* name, double otherwise) {
    const Json value = its_rope.value(name, Json(nullptr));
    if (!value.is_null() && !value.is_number())
      reader.fail(its_key, fmt::format("{} must be a number, not {}", name, json_excerpt(value)));
    return value.is_null() ? otherwise : value.get<double>();
  };
  base["rope_theta"] = number_in("rope_theta", theta);
  const double part = number_in("partial_rotary_factor",
                                family.partial_rotary ? reader.number("rotary_pct", 0.25) : 1.0);
  if (family.partial_rotary)
    base["rotary_pct"] = part;
  else if (part != 1.0)
    reader.fail(key, fmt::format("partial_rotary_factor {} is not supported; only 1 is", part));
  const Json scaling = read_scaling(reader, key, rope, architecture.vision != nullptr);
  if (scaling.at("rope_type") == "default") return;
  if (scaling.at("rope_type") != "linear" && !base.contains("max_position_embeddings") &&
      !scaling.contains("original_max_position_embeddings"))
    reader.fail("max_position_embeddings",
                fmt::format("is missing; {} of rope_type {} begins there", key,
                            json_excerpt(scaling.at("rope_type"))));
  base["rope_scaling"] = scaling;
}

void write_rope(const Json& base, Json& config) {
  Json scaling = base.value("rope_scaling", Json(nullptr));
  // transformers warns of one that is no float.
  if (scaling.is_object() && scaling.contains("attention_factor"))
    scaling["attention_factor"] = scaling["attention_factor"].get<double>();
  if (base.contains("rotary_pct")) {
    config["rotary_pct"] = base.at("rotary_pct");
    config["rotary_emb_base"] = base.at("rope_theta");
    if (scaling.is_object()) config["rope_scaling"] = scaling;
    return;
  }
  config["rope_theta"] = base.at("rope_theta");
  if (base.contains("mrope_section")) {
    if (scaling.is_null()) scaling = {{"type", "mrope"}};
    scaling["mrope_section"] = base.at("mrope_section");
  }
  config["rope_scaling"] = scaling;
}

}  // namespace veomni
