// Format `images`: a folder of class folders, or a manifest (media_source.cpp) with paths of images.
#include <algorithm>
#include <filesystem>
#include <set>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/data/file_bytes.h"
#include "core/data/image_codec.h"
#include "core/data/source.h"
#include "core/data/source_tools.h"
#include "core/error.h"

namespace veomni {
namespace {

namespace fs = std::filesystem;

bool is_image_name(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

class FolderSource : public Source {
 public:
  FolderSource(const SourceConfig& config, const std::vector<std::string>& fields)
      : config_(config), names_(std::make_shared<const std::vector<std::string>>(fields)) {
    for (const auto& field : fields)
      require_field(config, config.paths.front(), field, {"image", "label", "class", "path"});
    for (const auto& path : config.paths) find_classes(path);
    for (const auto& path : config.paths) add_folder(path);
    std::sort(files_.begin(), files_.end(), [](const File& a, const File& b) {
      return a.order != b.order ? a.order < b.order : a.path < b.path;
    });
  }

  int64_t size() const override { return static_cast<int64_t>(files_.size()); }
  std::string where(int64_t index) const override {
    return files_[static_cast<size_t>(index)].path;
  }

  void read(int64_t index, Record& record, bool pixels) const override {
    start_record(record, names_, index);
    const File& file = files_[static_cast<size_t>(index)];
    for (size_t i = 0; i < names_->size(); ++i) {
      const std::string& name = (*names_)[i];
      Value& value = record.values[i];
      if (name == "label") value = static_cast<int64_t>(file.label);
      if (name == "class") assign_text(value, classes_[file.label]);
      if (name == "path") assign_text(value, file.path);
      if (name != "image") continue;
      if (pixels)
        value = decode_image(read_file_bytes(file.path), file.path);
      else
        value = std::monostate{};
    }
  }

 private:
  struct File {
    uint64_t order;  // hash of the path below the source's folder
    std::string path;
    size_t label;
  };

  void find_classes(const std::string& root) {
    std::set<std::string> found(classes_.begin(), classes_.end());
    for (const auto& entry : fs::directory_iterator(root))
      if (entry.is_directory()) found.insert(entry.path().filename().string());
    require<ConfigError>(
        !found.empty(),
        "{}: holds no class folders; put images into one folder a class, or give a manifest", root);
    classes_.assign(found.begin(), found.end());
  }

  void add_folder(const std::string& root) {
    for (size_t label = 0; label < classes_.size(); ++label) {
      const fs::path folder = fs::path(root) / classes_[label];
      if (!fs::is_directory(folder)) continue;
      for (const auto& entry : fs::directory_iterator(folder)) {
        if (!entry.is_regular_file() || !is_image_name(entry.path())) continue;
        const std::string relative = classes_[label] + "/" + entry.path().filename().string();
        files_.push_back(
            {XXH64(relative.data(), relative.size(), 0), entry.path().string(), label});
      }
    }
    require<ConfigError>(!files_.empty(), "{}: its class folders hold no .png or .jpg", root);
  }

  const SourceConfig config_;
  std::shared_ptr<const std::vector<std::string>> names_;
  std::vector<std::string> classes_;
  std::vector<File> files_;
};

bool is_manifest(std::string path) {
  if (path.ends_with(".gz")) path.resize(path.size() - 3);
  return path.ends_with(".csv") || path.ends_with(".jsonl");
}

}  // namespace

std::unique_ptr<Source> open_images(const SourceConfig& config,
                                    const std::vector<std::string>& fields) try {
  const bool manifest = is_manifest(config.paths.front());
  for (const auto& path : config.paths) {
    require<ConfigError>(fs::exists(path), "{}: does not exist; check data.sources.{}.path", path,
                         config.name);
    require<ConfigError>(is_manifest(path) == manifest && (manifest || fs::is_directory(path)),
                         "{}: must be a folder of class folders, or a .csv or .jsonl manifest",
                         path);
  }
  if (manifest) return open_media(config, fields);
  return std::make_unique<FolderSource>(config, fields);
} catch (const fs::filesystem_error& error) {
  throw ConfigError(
      fmt::format("{}: {}; check the folder", error.path1().string(), error.code().message()));
}

}  // namespace veomni
