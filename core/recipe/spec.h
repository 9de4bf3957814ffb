#pragma once
// What the front must know of a part (an encoder, decoder, head or base family) without LibTorch:
// its keys, what it costs, and how its input is prepared on the host.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/recipe/parameter_spec.h"

namespace veomni {

class Preprocessor;  // core/data/preprocessor.h
struct BaseConfig;   // core/recipe/recipe.h

struct Key;

/// One value of a key's `variant_key`, and the keys that come with it.
struct Variant {
  std::string name;
  std::string doc;
  std::vector<Key> keys;
};

/// One key of a JSON object in a recipe. The same table drives the reader, its errors, defaults and
/// the JSON Schema.
struct Key {
  enum class Type { boolean, integer, number, string, array, object, any };
  std::string name;
  Type type = Type::any;
  std::string doc;               ///< one sentence, with the unit
  Json default_value = nullptr;  ///< null and not `required`: the key stays absent unless given
  bool required = false;
  /// Inclusive; of a number itself, of an array's or map's number of items, of a string's number of
  /// bytes.
  std::optional<double> minimum = {}, maximum = {};
  std::vector<std::string> choices = {};                      ///< strings only
  bool exclusive_minimum = false, exclusive_maximum = false;  ///< the bound itself is refused

  std::vector<Key> keys =
      {};  ///< object: its keys. Neither keys, items nor variants: any keys (PartSpec::check)
  std::vector<Key> items =
      {};  ///< exactly one, its name unused: every item of an array, every value of a map
  std::vector<Key> any_of =
      {};  ///< alternatives of different JSON types, for example a string or a list of them
  std::string variant_key = {};  ///< object: the string key that picks one of `variants`
  std::vector<Variant> variants = {};
  bool reserved = false;  ///< known, but not available in this version: refused by name
  std::vector<std::string> reserved_values = {};  ///< strings refused by name
  std::string instead = {};                       ///< what to do instead of a reserved key or value
};

using Keys = std::vector<Key>;

/// Sizes of the base model that a part may need to describe itself.
struct BaseSizes {
  int64_t hidden_size = 0;
  int64_t vocab_size = 0;
  std::map<std::string, int64_t> table_dims = {};  ///< model.tables: name → dim
};

/// A part of a recipe with every default filled in.
struct PartConfig {
  std::string name;  ///< its key under model.encoders, model.decoders or model.heads
  std::string type;  ///< text, image, features, binary, …
  Json keys;         ///< the object of the recipe, resolved
};

/// What a Hugging Face directory says of a part.
struct PartFrom {
  Json
      fixed;  ///< keys that its weights are made for, "type" among them: a recipe may only repeat them
  Json defaults;  ///< keys a recipe may change (preprocessing)
};

struct PartSpec {
  std::string type;
  std::string doc;  ///< one sentence for `veomni schema` and `veomni new`
  Keys keys;        ///< besides "type", and "weight" and "given", which every head has ("weight":
                    ///< decoders as well)
  /// Cross-checks beyond ranges; throws ConfigError with a message that starts with `where` (the
  /// dotted path).
  std::function<void(const PartConfig&, const std::string& where)> check = {};
  std::function<std::vector<UnitSpec>(const PartConfig&, const BaseSizes&)> describe = {};
  /// Embedding tables that belong to the part alone: they are in none of its units.
  std::function<std::vector<ParameterSpec>(const PartConfig&)> describe_tables = {};
  /// Encoders only: prepares one segment's input on the host (core/data/preprocessor.h).
  std::function<std::unique_ptr<Preprocessor>(const PartConfig&, const Json& tables)>
      make_preprocessor = {};
  /// Heads only: the least and greatest label allowed; classification: classes from its keys.
  std::function<std::optional<std::string>(const PartConfig&, double label)> label_error = {};
  Json metrics =
      Json::array();  ///< heads and decoders: names of the metrics reported in evaluation
  /// Encoders that can start from a Hugging Face directory (key "from"): reads its config.json. Throws ConfigError.
  std::function<PartFrom(const std::filesystem::path& directory)> read_directory = {};
  /// Beginnings of the names of tensors of such directories that belong to other parts of those models.
  std::vector<std::string> other_tensors = {};
  /// Encoders that a class of transformers holds beside its base model: their keys of its config.json, for export.
  std::function<Json(const PartConfig&)> write_config = {};
  /// Encoders only: true: every segment names the "field" it reads; false: none may (the part names
  /// its own columns).
  std::optional<bool> takes_field = {};
};

/// The parts that exist, by kind. Filled once by register_specs() (modalities/all.h).
class SpecRegistry {
 public:
  enum class Kind { encoder, decoder, head };
  /// Throws Error when the type is there already.
  void add(Kind kind, PartSpec spec);
  /// Throws ConfigError: `unknown encoder 'vidoe'; did you mean 'video'?`
  const PartSpec& get(Kind kind, const std::string& type) const;
  /// The same, or null.
  const PartSpec* find(Kind kind, const std::string& type) const;
  const std::vector<PartSpec>& all(Kind kind) const;

  /// The base model, which every recipe has: modalities/base/block_spec.h.
  using DescribeBase = std::function<std::vector<UnitSpec>(
      const BaseConfig&, int64_t vocab_size, int64_t special_tokens, int64_t learned_weights)>;
  void set_base(DescribeBase describe) { base_ = std::move(describe); }
  const DescribeBase& base() const { return base_; }

 private:
  DescribeBase base_;
  std::vector<PartSpec> specs_[3];
};

/// The process's registry of specs, living in libveomni_base.so so that front and engine share it.
SpecRegistry& specs();

}  // namespace veomni
