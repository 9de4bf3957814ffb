// The keys under `model`: the base model's names are those of Hugging Face's config.json.
#include "core/recipe/table.h"

namespace veomni {

namespace {
using Type = Key::Type;
constexpr double kMaxWidth = 1 << 20;

Key size_key(const std::string& name, const std::string& doc, bool required) {
  return {.name = name,
          .type = Type::integer,
          .doc = doc,
          .required = required,
          .minimum = 1,
          .maximum = kMaxWidth};
}

Key tables_key() {
  const Key table{
      .name = "",
      .type = Type::object,
      .doc = "an embedding table",
      .keys = {{.name = "rows",
                .type = Type::integer,
                .doc = "rows of the table",
                .required = true,
                .minimum = 1,
                .maximum = 1e9},
               size_key("dim", "width of a row", true),
               {.name = "hash",
                .type = Type::string,
                .doc = "xxh64: values hash into rows; left out: a vocabulary numbers them",
                .choices = {"xxh64"}},
               reserved_key("placement"),
               reserved_key("optimizer")}};
  return {.name = "tables",
          .type = Type::object,
          .doc = "embedding tables that columns of several encoders may share",
          .default_value = Json::object(),
          .items = {table}};
}

Key weight_key() {
  return {.name = "weight",
          .type = Type::number,
          .doc = "fixed weight of its loss",
          .default_value = 1.0,
          .minimum = 0,
          .maximum = 1e9};
}

/// Parts of one kind: "type" picks the keys from the registry.
Key parts_key(const std::string& name, const std::string& doc, SpecRegistry::Kind kind) {
  Key part{.name = "", .type = Type::object, .doc = "a part", .variant_key = "type"};
  part.keys = {{.name = "type",
                .type = Type::string,
                .doc = "which kind of part",
                .required = true,
                .minimum = 1}};
  if (kind != SpecRegistry::Kind::encoder) part.keys.push_back(weight_key());
  if (kind == SpecRegistry::Kind::head) {
    part.keys.push_back(
        {.name = "given",
         .type = Type::string,
         .doc = "binary head whose event comes first: this head's probability is multiplied by "
                "its probability, so both train on all rows (ESMM, Ma et al. 2018)"});
    part.keys.push_back(reserved_key("mix"));
  }
  for (const PartSpec& spec : specs().all(kind)) {
    part.variants.push_back({spec.type, spec.doc, spec.keys});
  }
  // Without any registered type a table without variants would accept every key.
  if (part.variants.empty()) part.variants.push_back({"", "", {}});
  return {.name = name,
          .type = Type::object,
          .doc = doc,
          .default_value = Json::object(),
          .items = {part}};
}
}  // namespace

Key model_key() {
  return {.name = "model",
          .type = Type::object,
          .doc = "encoders, base model, decoders and heads",
          .required = true,
          .keys = {{.name = "from",
                    .type = Type::string,
                    .doc = "directory of a Hugging Face model: its config.json gives base, its "
                           "weights the start"},
                   base_key(),
                   tables_key(),
                   parts_key("encoders", "parts that turn segments into embeddings",
                             SpecRegistry::Kind::encoder),
                   parts_key("decoders", "parts that predict a segment's tokens",
                             SpecRegistry::Kind::decoder),
                   parts_key("heads", "tasks that read one hidden state of a sample",
                             SpecRegistry::Kind::head),
                   reserved_key("lora"),
                   reserved_key("teachers")}};
}

}  // namespace veomni
