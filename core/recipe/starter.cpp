#include "core/recipe/starter.h"

#include "core/error.h"
#include "core/suggest.h"

namespace veomni {

namespace {

constexpr const char* kText = R"({
  // A small language model. Change `path`, then: veomni train FILE
  "name": "text", "seed": 1,
  "model": {
    // Sizes are named as in Hugging Face's config.json; families: llama, qwen2, qwen3, qwen3_moe,
    // mixtral, gpt2, gpt_neox.
    "base": { "family": "llama", "hidden_size": 128, "intermediate_size": 344,
              "num_hidden_layers": 4, "num_attention_heads": 4 },
    "decoders": { "text": { "type": "text" } } },
  "tokenizer": "characters",  // or "bytes"
  "data": {
    "sources": [
      { "name": "book", "format": "text", "path": "data/book.txt",
        "sample_tokens": 256,  // the text is cut into windows of so many tokens
        "split": { "train": [0.0, 0.9], "eval": [0.9, 1.0] },
        "sample": [ { "part": "text", "field": "text", "learn": true } ] } ] },
  "train": { "steps": 1000, "packs": 8, "pack_tokens": 1024,  // a step: 8 packs of at most 1,024 tokens
             "optimizer": { "type": "adamw", "lr": 1e-3, "betas": [0.9, 0.95],
                            "weight_decay": 0.1, "clip": 1.0 },
             "schedule": { "type": "cosine", "warmup": 50, "final": 0.1 } },
  "eval": { "every": 200 },
  "checkpoint": { "every": 200, "keep": 2 },
  "output": "runs/text"
}
)";

constexpr const char* kImages = R"({
  // An image classifier: an encoder cuts images into patches, the base model reads them,
  // a head names the class.
  "name": "images", "seed": 1,
  "model": {
    "base": { "family": "llama", "hidden_size": 128, "intermediate_size": 344,
              "num_hidden_layers": 3, "num_attention_heads": 4 },
    "encoders": { "photo": { "type": "image", "patch_size": 7, "hidden_size": 64, "num_hidden_layers": 2 } },
    "heads": { "label": { "type": "classification", "classes": 10 } } },
  "data": {
    "sources": [
      // MNIST's format. A folder of PNG or JPEG files, one sub-folder a class, is "format": "images".
      { "name": "pictures", "format": "idx", "path": "data/images.gz", "labels": "data/labels.gz",
        "split": { "train": [0.0, 0.8], "eval": [0.8, 1.0] },
        "sample": [ { "part": "photo", "field": "image" } ],
        "targets": { "label": "label" } } ] },
  "train": { "steps": 1000, "packs": 4, "pack_tokens": 1024,
             "optimizer": { "type": "adamw", "lr": 1e-3, "weight_decay": 0.1 },
             "schedule": { "type": "cosine", "warmup": 50, "final": 0.05 } },
  "eval": { "every": 200 },
  "checkpoint": { "every": 200, "keep": 2 },
  "output": "runs/images"
}
)";

constexpr const char* kRecommend = R"({
  // A recommender: user and item as encoders side by side, click and purchase as heads.
  "name": "recommend", "seed": 1,
  "model": {
    "base": { "family": "llama", "hidden_size": 64, "intermediate_size": 172,
              "num_hidden_layers": 2, "num_attention_heads": 2 },
    // Columns of several encoders may share a table. Values hash into its rows.
    "tables": { "city": { "rows": 10000, "dim": 16, "hash": "xxh64" } },
    "encoders": { "user": { "type": "features",
                            "columns": { "age": "number", "home": { "table": "city" } } },
                  "item": { "type": "features",
                            "columns": { "price": "number", "shop": { "table": "city" } } } },
    "heads": { "click": { "type": "binary" },
               // Trained on all rows through its parent: a purchase needs a click (ESMM).
               "purchase": { "type": "binary", "given": "click" } } },
  "data": {
    "sources": [
      { "name": "visits", "format": "csv", "path": "data/visits.csv",
        "split": { "train": [0.0, 0.8], "eval": [0.8, 1.0] },
        "sample": [ { "part": "user" }, { "part": "item" } ],
        // Rows without a label train nothing on that head.
        "targets": { "click": "clicked", "purchase": "bought" } } ] },
  "train": { "steps": 1000, "packs": 4, "pack_tokens": 4096,
             "optimizer": { "type": "adamw", "lr": 1e-3, "weight_decay": 0.01 },
             "schedule": { "type": "cosine", "warmup": 50, "final": 0.1 } },
  "eval": { "every": 200 },
  "checkpoint": { "every": 200, "keep": 2 },
  "output": "runs/recommend"
}
)";

constexpr const char* kOmni = R"({
  // One model, trained at once on text, images and customer records.
  "name": "omni", "seed": 1,
  "model": {
    "base": { "family": "qwen3", "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4,
              "num_attention_heads": 4, "num_key_value_heads": 2 },
    "tables": { "zip": { "rows": 10000, "dim": 16, "hash": "xxh64" } },
    "encoders": { "photo": { "type": "image", "patch_size": 7, "hidden_size": 64, "num_hidden_layers": 2 },
                  "customer": { "type": "features",
                                "columns": { "age": "number", "zip_code": { "table": "zip" } } } },
    "decoders": { "text": { "type": "text" } },
    "heads": { "label": { "type": "classification", "classes": 10 },
               "visit": { "type": "binary" } } },
  "tokenizer": "characters",
  "data": {
    "sources": [
      { "name": "book", "format": "text", "path": "data/book.txt",
        "weight": 2,           // drawn twice as often as a source of weight 1
        "sample_tokens": 256,
        "split": { "train": [0.0, 0.9], "eval": [0.9, 1.0] },
        "sample": [ { "part": "text", "field": "text", "learn": true } ] },
      { "name": "pictures", "format": "idx", "path": "data/images.gz", "labels": "data/labels.gz",
        "split": { "train": [0.0, 0.8], "eval": [0.8, 1.0] },
        "sample": [ { "part": "photo", "field": "image" } ],
        "targets": { "label": "label" } },
      { "name": "customers", "format": "csv", "path": "data/customers.csv",
        "split": { "train": [0.0, 0.8], "eval": [0.8, 1.0] },
        "sample": [ { "part": "customer" } ],
        "targets": { "visit": "visit" } } ] },
  "train": { "steps": 1000, "packs": 8, "pack_tokens": 1024,
             "optimizer": { "type": "adamw", "lr": 1e-3, "betas": [0.9, 0.95],
                            "weight_decay": 0.1, "clip": 1.0 },
             "schedule": { "type": "cosine", "warmup": 50, "final": 0.1 },
             "precision": "fp32" },
  "eval": { "every": 200 },
  "checkpoint": { "every": 200, "keep": 2 },
  "output": "runs/omni"
}
)";

}  // namespace

std::vector<std::string> starter_kinds() { return {"text", "images", "recommend", "omni"}; }

std::string starter_recipe(const std::string& kind) {
  if (kind == "text") return kText;
  if (kind == "images") return kImages;
  if (kind == "recommend") return kRecommend;
  if (kind == "omni") return kOmni;
  throw ConfigError(
      fmt::format("new: unknown kind '{}'{}", kind, did_you_mean(kind, starter_kinds())));
}

}  // namespace veomni
