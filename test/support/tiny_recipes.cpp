#include "support/tiny_recipes.h"

#include <fmt/format.h>

#include <fstream>
#include <random>

namespace veomni::test {
namespace fs = std::filesystem;
namespace {

void write(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::string big_endian(uint32_t value) {
  std::string out;
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(value >> shift & 0xFF);
  return out;
}

/// Images whose brightness tells their class, and labels.
void write_images(const fs::path& folder, std::mt19937& random) {
  constexpr uint32_t kCount = 60, kSide = 8;
  std::string images =
      big_endian(0x803) + big_endian(kCount) + big_endian(kSide) + big_endian(kSide);
  std::string labels = big_endian(0x801) + big_endian(kCount);
  for (uint32_t i = 0; i < kCount; ++i) {
    const auto label = static_cast<uint32_t>(random() % 3);
    labels += static_cast<char>(label);
    for (uint32_t p = 0; p < kSide * kSide; ++p)
      images += static_cast<char>(label * 80 + random() % 60);
  }
  write(folder / "images.idx", images);
  write(folder / "labels.idx", labels);
}

void write_customers(const fs::path& folder, std::mt19937& random) {
  std::string csv = "age,city,history,visit,buys,spend,importance\n";
  const char* cities[] = {"Ulm", "Bonn", "Köln", ""};
  for (int i = 0; i < 120; ++i) {
    const int age = static_cast<int>(random() % 60), city = static_cast<int>(random() % 4);
    const int visit = (age + static_cast<int>(random() % 30)) > 45,
              buys = visit && random() % 3 == 0;
    csv += fmt::format("{},{},{} {},{},{},{},{}\n", age, cities[city], random() % 9, random() % 9,
                       visit, buys, buys ? 1 + random() % 50 : 0, 1 + random() % 3);
  }
  write(folder / "customers.csv", csv);
}

void write_text(const fs::path& folder, std::mt19937& random) {
  const char* words[] = {"the ", "cat ", "sat ", "on ", "a ", "mat. ", "dogs ", "bark\n"};
  std::string text;
  for (int i = 0; i < 700; ++i) text += words[random() % 8];
  write(folder / "text.txt", text);
}

}  // namespace

std::string write_omni_recipe(const fs::path& folder) {
  std::mt19937 random(7);
  write_text(folder, random);
  write_images(folder, random);
  write_customers(folder, random);
  write(folder / "omni.json", R"({
  "name": "omni", "seed": 3,
  "model": {
    "base": { "family": "qwen3", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
              "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8 },
    "tables": { "place": { "rows": 16, "dim": 4 } },
    "encoders": {
      "photo": { "type": "image", "patch_size": 4, "channels": 1, "hidden_size": 16, "num_hidden_layers": 1,
                 "num_attention_heads": 2, "intermediate_size": 24 },
      "customer": { "type": "features", "hidden_size": 12, "num_hidden_layers": 1, "dim": 4, "rows": 32,
        "columns": { "age": { "type": "number", "bins": 4 }, "city": { "type": "category", "table": "place" },
                     "history": { "type": "category", "list": { "max": 4 } } } } },
    "decoders": { "text": { "type": "text" } },
    "heads": { "label": { "type": "classification", "classes": 3 }, "visit": { "type": "binary" },
               "buys": { "type": "binary", "given": "visit" }, "spend": { "type": "revenue", "weight": 0.1 } } },
  "tokenizer": "characters",
  "data": { "sources": [
    { "name": "words", "format": "text", "path": "text.txt", "sample_tokens": 24, "weight": 1,
      "split": { "train": [0.0, 0.8], "eval": [0.8, 1.0] },
      "sample": [ { "part": "text", "field": "text", "learn": true } ] },
    { "name": "pictures", "format": "idx", "path": "images.idx", "labels": "labels.idx",
      "split": { "train": [0.0, 0.7], "eval": [0.7, 1.0] },
      "sample": [ { "part": "photo", "field": "image" } ], "targets": { "label": "label" } },
    { "name": "customers", "format": "csv", "path": "customers.csv", "weight": 2, "sample_weight": "importance",
      "split": { "train": [0.0, 0.7], "eval": [0.7, 1.0] },
      "sample": [ { "part": "customer" } ], "targets": { "visit": "visit", "buys": "buys", "spend": "spend" } } ] },
  "train": { "steps": 20, "packs": 4, "pack_tokens": 64,
             "optimizer": { "type": "adamw", "lr": 0.003 }, "schedule": { "type": "cosine", "warmup": 2 } },
  "output": "run" })");
  return (folder / "omni.json").string();
}

std::string write_uneven_recipe(const fs::path& folder) {
  std::ifstream file(write_omni_recipe(folder));
  Json recipe = Json::parse(file);
  auto& sources = recipe["data"]["sources"];
  sources[0]["sample_tokens"] = 250;
  sources[0]["weight"] = 1;
  sources[1]["weight"] = 24;
  sources[2]["weight"] = 4;
  recipe["train"]["pack_tokens"] = 252;
  recipe["train"]["dropout"] = 0.1;
  write(folder / "uneven.json", recipe.dump(1));
  return (folder / "uneven.json").string();
}

std::string write_moe_recipe(const fs::path& folder) {
  std::mt19937 random(8);
  write_text(folder, random);
  write(folder / "moe.json", R"({
  "name": "moe", "seed": 5,
  "model": {
    "base": { "family": "qwen3_moe", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
              "num_key_value_heads": 2, "head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2,
              "moe_intermediate_size": 16, "router_aux_loss_coef": 0.01, "router_z_loss_coef": 0.001 },
    "decoders": { "text": { "type": "text" } } },
  "tokenizer": "characters",
  "data": { "sources": [
    { "name": "words", "format": "text", "path": "text.txt", "sample_tokens": 24,
      "split": { "train": [0.0, 0.8], "eval": [0.8, 1.0] },
      "sample": [ { "part": "text", "field": "text", "learn": true } ] } ] },
  "train": { "steps": 20, "packs": 4, "pack_tokens": 64,
             "optimizer": { "type": "adamw", "lr": 0.003 }, "schedule": { "type": "cosine", "warmup": 2 } },
  "output": "run" })");
  return (folder / "moe.json").string();
}

std::string write_from_recipe(const fs::path& folder, const fs::path& directory,
                              const Json& changes) {
  write(folder / "text.txt", std::string(2000, 'a') + std::string(2000, 'b'));
  Json recipe = Json::parse(R"({
  "name": "from",
  "model": { "decoders": { "text": { "type": "text" } } },
  "tokenizer": "bytes",
  "data": { "sources": [
    { "name": "text", "format": "text", "path": "text.txt", "sample_tokens": 32,
      "split": { "train": [0.0, 1.0] }, "sample": [ { "part": "text", "field": "text", "learn": true } ] } ] },
  "train": { "steps": 1, "packs": 2, "pack_tokens": 64 },
  "output": "run" })");
  recipe["model"]["from"] = directory.string();
  recipe.merge_patch(changes);
  write(folder / "from.json", recipe.dump(1));
  return (folder / "from.json").string();
}

Json token_data(const fs::path& folder) {
  std::string lines;
  for (int sample = 0; sample < 20; ++sample) {
    Json ids = Json::array();
    for (int t = 0; t < 24; ++t) ids.push_back((sample * 7 + t * t) % 48);
    lines += Json{{"input_ids", ids}}.dump() + "\n";
  }
  write(folder / "ids.jsonl", lines);
  return Json::parse(R"({
  "tokenizer": null,
  "data": { "sources": [
    { "name": "ids", "format": "tokens", "path": "ids.jsonl", "split": { "train": [0.0, 1.0] },
      "sample": [ { "part": "text", "learn": true } ] } ] } })");
}

}  // namespace veomni::test
