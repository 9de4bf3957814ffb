#pragma once
// What the tests of core/tokenizer share: where the tokenizers of trained models lie, and GPT-2's
// tokenizer.json made from its two older files.

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "core/data/file_bytes.h"
#include "core/json.h"
#include "core/tokenizer/component.h"
#include "core/tokenizer/file_tokenizer.h"
#include "support/paths.h"

namespace veomni::tokenizer_test {

/// A file of the data folder (VEOMNI_TEST_DATA, or shared/data beside the checkout or above it);
/// empty, with a warning, where it is absent.
inline std::string data_file(const std::string& name) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (const char* given = std::getenv("VEOMNI_TEST_DATA"))
    if (fs::exists(fs::path(given) / name, error)) return (fs::path(given) / name).string();
  for (fs::path folder = test::source_dir(); folder.has_relative_path();
       folder = folder.parent_path())
    if (const fs::path file = folder / "shared" / "data" / name; fs::exists(file, error))
      return file.string();
  WARN("skipped: no " << name << " in shared/data (or VEOMNI_TEST_DATA)");
  return "";
}

inline FileJson gpt2_json(const std::string& folder) {
  FileJson json = FileJson::parse(R"({"version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [{"id": 50256, "content": "<|endoftext|>", "single_word": false, "lstrip": false,
                      "rstrip": false, "normalized": true, "special": true}],
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
    "post_processor": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false},
    "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true},
    "model": {"dropout": null, "unk_token": "", "continuing_subword_prefix": "",
              "end_of_word_suffix": "", "fuse_unk": false}})");
  json["model"]["vocab"] = FileJson::parse(read_file_bytes(folder + "/vocab.json"));
  json["model"]["merges"] = FileJson::array();
  std::istringstream lines(read_file_bytes(folder + "/merges.txt"));
  for (std::string line; std::getline(lines, line);)
    if (!line.empty() && !line.starts_with("#version")) json["model"]["merges"].push_back(line);
  return json;
}

}  // namespace veomni::tokenizer_test
