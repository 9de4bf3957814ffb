#include <unistd.h>

#include <filesystem>

#include "core/error.h"
#include "core/recipe/checks.h"

namespace veomni {

namespace {

namespace fs = std::filesystem;

void check_file(const fs::path& file, bool folder_allowed, const Path& path,
                const Document& document) {
  std::error_code error;
  const fs::file_status status = fs::status(file, error);
  const bool pattern = file.string().find_first_of("*?[") != std::string::npos;
  if (!fs::exists(status)) {
    if (pattern) {
      document.fail_value(
          path, fmt::format("'{}': patterns are not available in this version; list the files",
                            file.string()));
    }
    document.fail_value(
        path, fmt::format("no such file: {}; check the path (relative to the recipe file)",
                          file.string()));
  }
  if (fs::is_directory(status)) {
    if (folder_allowed) return;
    document.fail_value(path, fmt::format("{} is a folder; give a file", file.string()));
  }
  if (!fs::is_regular_file(status) && !fs::is_directory(status)) {
    document.fail_value(path, fmt::format("{} is no regular file; give a file", file.string()));
  }
  if (access(file.c_str(), R_OK) != 0) {
    document.fail_value(path,
                        fmt::format("{} cannot be read; check its permissions", file.string()));
  }
}

void check_paths(const Json& paths, bool folder_allowed, const Path& path,
                 const Document& document) {
  if (paths.is_string())
    return check_file(paths.get<std::string>(), folder_allowed, path, document);
  for (size_t i = 0; i < paths.size(); ++i) {
    check_file(paths[i].get<std::string>(), folder_allowed, child(path, std::to_string(i)),
               document);
  }
}

void check_tokenizer(const Recipe& recipe, const Document& document) {
  const std::string& tokenizer = recipe.tokenizer;
  if (tokenizer.empty() || tokenizer == "characters" || tokenizer == "bytes") return;
  if (std::error_code error; !fs::exists(tokenizer, error)) {
    document.fail_value(
        {"tokenizer"},
        fmt::format("no such file: {}; give \"characters\", \"bytes\", or the path of a "
                    "tokenizer.json or tokenizer.model",
                    tokenizer));
  }
  check_file(tokenizer, true, {"tokenizer"}, document);
}

void check_output(const Recipe& recipe, const Document& document) {
  for (fs::path folder = recipe.output; !folder.empty(); folder = folder.parent_path()) {
    std::error_code error;
    const fs::file_status status = fs::status(folder, error);
    if (fs::is_directory(status)) return;
    if (fs::exists(status)) {
      document.fail_value(
          {"output"},
          fmt::format("{} is a file, so no run directory can be made there; give another place",
                      folder.string()));
    }
    if (folder == folder.root_path()) return;
  }
}

}  // namespace

void check_files(const Recipe& recipe, const Document& document) {
  for (size_t i = 0; i < recipe.sources.size(); ++i) {
    const SourceConfig& source = recipe.sources[i];
    const Path path{"data", "sources", std::to_string(i)};
    check_paths(source.keys["path"], source.format == "images", child(path, "path"), document);
    if (source.keys.contains("images") && fs::is_directory(source.paths.front())) {
      document.fail_key(child(path, "images"),
                        "has no effect: the path is a folder, not a manifest; remove it");
    }
    if (source.keys.contains("labels")) {
      check_paths(source.keys["labels"], false, child(path, "labels"), document);
    }
    for (size_t j = 0; j < source.sample.size(); ++j) {
      const Json& segment = source.keys["sample"][j];
      if (segment.contains("template") && segment["template"] != "tokenizer")
        check_file(segment["template"].get<std::string>(), false,
                   child(child(child(path, "sample"), std::to_string(j)), "template"), document);
    }
  }
  check_tokenizer(recipe, document);
  check_output(recipe, document);
}

}  // namespace veomni
