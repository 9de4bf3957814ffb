// Format `media`: a manifest (csv or jsonl) whose columns hold paths of images and sounds.
#include <algorithm>
#include <filesystem>

#include "core/data/file_bytes.h"
#include "core/data/image_codec.h"
#include "core/data/sound.h"
#include "core/data/source.h"
#include "core/data/source_tools.h"
#include "core/data/text.h"
#include "core/error.h"

namespace veomni {
namespace {

namespace fs = std::filesystem;

enum class Kind { plain, image, sound };

class ManifestSource : public Source {
 public:
  ManifestSource(const SourceConfig& config, const std::vector<std::string>& fields)
      : folder_(fs::path(config.paths.front()).parent_path().string()) {
    std::string name = config.paths.front();
    if (name.ends_with(".gz")) name.resize(name.size() - 3);
    rows_ = name.ends_with(".csv") ? open_csv(config, fields) : open_jsonl(config, fields);
    const auto images = columns(config, "images", "image"),
               sounds = columns(config, "audio", "audio");
    const auto holds = [](const std::vector<std::string>& list, const std::string& field) {
      return std::find(list.begin(), list.end(), field) != list.end();
    };
    for (const auto& field : fields)
      kinds_.push_back(holds(images, field)   ? Kind::image
                       : holds(sounds, field) ? Kind::sound
                                              : Kind::plain);
    for (const auto& path : config.paths)
      require<ConfigError>(fs::path(path).parent_path().string() == folder_,
                           "{}: manifests of one source must lie in one folder", path);
  }

  int64_t size() const override { return rows_->size(); }
  std::string where(int64_t index) const override { return rows_->where(index); }

  void read(int64_t index, Record& record, bool pixels) const override {
    rows_->read(index, record);
    for (size_t i = 0; i < kinds_.size(); ++i) {
      if (kinds_[i] == Kind::plain) continue;
      Value& value = record.values[i];
      value = !pixels                    ? Value()
              : kinds_[i] == Kind::image ? load_images(value, index)
                                         : load_sound(value, index);
    }
  }

 private:
  /// The columns that `key` lists; one of the default name where it is absent and the format has the key.
  static std::vector<std::string> columns(const SourceConfig& config, const char* key,
                                          const char* otherwise) {
    auto names = string_list(config, key);
    const bool sound = std::string_view(key) == "audio";
    if (names.empty() && (!sound || config.format == "media")) names = {otherwise};
    return names;
  }

  Value load_images(const Value& paths, int64_t index) const {
    if (std::holds_alternative<std::monostate>(paths)) return {};
    if (const auto* path = std::get_if<std::string>(&paths)) return load_image(*path, index);
    const auto* list = std::get_if<std::vector<std::string>>(&paths);
    if (const auto* none = std::get_if<std::vector<int64_t>>(&paths);
        none != nullptr && none->empty())
      return std::vector<Image>{};
    require<ConfigError>(list != nullptr, "{}: an image must be a path or a list of paths",
                         rows_->where(index));
    std::vector<Image> images;
    for (const auto& path : *list) images.push_back(load_image(path, index));
    return images;
  }

  Value load_sound(const Value& path, int64_t index) const {
    if (std::holds_alternative<std::monostate>(path)) return {};
    const auto* name = std::get_if<std::string>(&path);
    require<ConfigError>(name != nullptr, "{}: a sound must be a path", rows_->where(index));
    const std::string full = existing(*name, "sound", index);
    return decode_wav(read_file_bytes(full), full);
  }

  Image load_image(const std::string& path, int64_t index) const {
    const std::string full = existing(path, "image", index);
    return decode_image(read_file_bytes(full), full);
  }

  std::string existing(const std::string& path, const char* what, int64_t index) const {
    constexpr int kMostShown = 500;
    std::string full = path_below(folder_, path);
    require<ConfigError>(fs::is_regular_file(full), "{}: names the {} {}, which does not exist",
                         rows_->where(index), what, shown(full, kMostShown));
    return full;
  }

  std::string folder_;
  std::unique_ptr<Source> rows_;
  std::vector<Kind> kinds_;  // of each field
};

}  // namespace

std::unique_ptr<Source> open_media(const SourceConfig& config,
                                   const std::vector<std::string>& fields) {
  for (const auto& path : config.paths)
    require<ConfigError>(fs::is_regular_file(path),
                         "{}: is no file; data.sources.{}.path names a .csv or .jsonl manifest",
                         path, config.name);
  return std::make_unique<ManifestSource>(config, fields);
}

}  // namespace veomni
