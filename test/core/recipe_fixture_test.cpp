#include "recipe_fixture.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "modalities/all.h"

namespace veomni::test {

namespace {

namespace fs = std::filesystem;
using Kind = SpecRegistry::Kind;
using Type = Key::Type;

void add_missing(Kind kind, PartSpec spec) {
  if (!specs().find(kind, spec.type)) specs().add(kind, std::move(spec));
}

Key integer(const std::string& name, bool required, Json value) {
  return {.name = name,
          .type = Type::integer,
          .doc = "a size",
          .default_value = std::move(value),
          .required = required,
          .minimum = 1,
          .maximum = 4096};
}

void add_stand_ins() {
  PartSpec image{.type = "image", .doc = "patches of an image", .keys = {}};
  image.keys = {integer("patch_size", true, nullptr), integer("hidden_size", false, 64),
                integer("num_hidden_layers", false, 2)};
  image.takes_field = true;
  add_missing(Kind::encoder, image);
  PartSpec features{.type = "features", .doc = "columns of a row", .keys = {}};
  features.keys = {
      {.name = "columns", .type = Type::object, .doc = "column → kind", .required = true}};
  features.takes_field = false;
  add_missing(Kind::encoder, features);
  add_missing(Kind::decoder, {.type = "text", .doc = "next tokens", .keys = {}});
  PartSpec classification{.type = "classification", .doc = "one of several classes", .keys = {}};
  classification.keys = {integer("classes", true, nullptr)};
  add_missing(Kind::head, classification);
  for (const char* type : {"binary", "regression", "revenue"}) {
    add_missing(Kind::head, {.type = type, .doc = "one number", .keys = {}});
  }
}

/// A type whose check always finds something, to see where its message is placed.
void add_picky_head() {
  PartSpec picky{.type = "picky_for_tests", .doc = "refuses odd sizes", .keys = {}};
  picky.keys = {integer("size", true, nullptr)};
  picky.check = [](const PartConfig& part, const std::string& where) {
    require<ConfigError>(part.keys["size"].get<int64_t>() % 2 == 0,
                         "{}.size: {} is odd; give an even size", where,
                         part.keys["size"].get<int64_t>());
  };
  picky.describe = [](const PartConfig& part, const BaseSizes& base) {
    const int64_t size = part.keys["size"].get<int64_t>();
    return std::vector<UnitSpec>{
        {.name = "heads." + part.name,
         .parameters = {{"weight", {size, base.hidden_size}, Init::normal(0.02)},
                        {"bias", {size}, Init::zeros(), false}}}};
  };
  add_missing(Kind::head, picky);
}

}  // namespace

void ensure_specs() {
  static const bool once = [] {
    register_specs();
    add_stand_ins();
    add_picky_head();
    return true;
  }();
  (void)once;
}

Recipe parse(const std::string& text, const std::vector<std::string>& overrides) {
  ensure_specs();
  return parse_recipe(text, "/r/recipe.json", overrides);
}

RecipeFolder::RecipeFolder() {
  std::string name = (fs::temp_directory_path() / "veomni-recipe-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  path_ = name;
  fs::create_directory(path_ / "data");
  for (const char* file : {"book.txt", "images.gz", "labels.gz", "customers.csv"}) {
    write(std::string("data/") + file, "x\n");
  }
}

RecipeFolder::~RecipeFolder() {
  std::error_code error;
  fs::remove_all(path_, error);
}

std::string RecipeFolder::write(const std::string& name, const std::string& text) const {
  std::ofstream(path_ / name, std::ios::binary) << text;
  return (path_ / name).string();
}

std::vector<std::string> RecipeFolder::listing() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(path_))
    names.push_back(entry.path().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string omni_recipe() {
  return R"({
  "name": "omni", "seed": 7,  // a comment
  "model": {
    "base": { "family": "qwen3", "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4,
              "num_attention_heads": 4, "num_key_value_heads": 2 },
    "tables": { "zip": { "rows": 1000, "dim": 16, "hash": "xxh64" } },
    "encoders": { "photo": { "type": "image", "patch_size": 7 },
                  "customer": { "type": "features",
                                "columns": { "age": "number", "zip_code": { "table": "zip" } } } },
    "decoders": { "text": { "type": "text" } },
    "heads": { "label": { "type": "classification", "classes": 10 },
               "visit": { "type": "binary" },
               "conversion": { "type": "binary", "given": "visit" },
               "spend": { "type": "revenue", "weight": 0.1 } } },
  "tokenizer": "characters",
  "data": {
    "sources": [
      { "name": "book", "format": "text", "path": "data/book.txt", "weight": 2,
        "split": { "train": [0.0, 0.9], "eval": [0.9, 1.0] },
        "sample": [ { "part": "text", "field": "text", "learn": true } ] },
      { "name": "pictures", "format": "idx", "path": "data/images.gz", "labels": "data/labels.gz",
        "sample": [ { "part": "photo", "field": "image" } ], "targets": { "label": "label" } },
      { "name": "customers", "format": "csv", "path": ["data/customers.csv"],
        "sample": [ { "part": "customer" } ],
        "targets": { "visit": "visit", "conversion": { "field": "conversion", "positive": ["yes", 1] },
                     "spend": "spend" }, "group": "zip_code" } ] },
  "train": { "steps": 300, "packs": 16, "pack_tokens": 1024,
             "optimizer": { "type": "adamw", "lr": 2e-3 },
             "schedule": { "type": "cosine", "warmup": 20 } },
  "eval": { "every": 50 },
  "output": "runs/omni"
}
)";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("the test's recipe does not hold: " + from);
  return text.replace(at, from.size(), to);
}

}  // namespace veomni::test

TEST_CASE("recipe: the tests' own recipe is valid", "[core][recipe]") {
  veomni::test::ensure_specs();
  const veomni::test::RecipeFolder folder;
  const std::string path = folder.write("recipe.json", veomni::test::omni_recipe());
  CHECK(veomni::test::config_error([&] { veomni::read_recipe(path, {}); }).empty());
}
