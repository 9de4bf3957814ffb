// Format `idx` (the files of MNIST): big-endian header, then unsigned bytes.
#include <numeric>

#include "core/data/file_bytes.h"
#include "core/data/source.h"
#include "core/data/source_tools.h"
#include "core/error.h"

namespace veomni {
namespace {

struct IdxFile {
  std::vector<int64_t> shape;
  std::string bytes;  ///< of the whole file; data start at `offset`
  size_t offset = 0;
};

IdxFile read_idx(const std::string& path) {
  IdxFile file{.shape = {}, .bytes = read_file_bytes(path), .offset = 4};
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(file.bytes[i]); };
  const bool magic = file.bytes.size() >= 4 && byte(0) == 0 && byte(1) == 0;
  require<ConfigError>(magic, "{}: is no IDX file (magic number); give MNIST's format", path);
  require<ConfigError>(byte(2) == 8, "{}: IDX type 0x{:02x}; only unsigned bytes (0x08) are read",
                       path, byte(2));
  const size_t dims = byte(3);
  require<ConfigError>(dims > 0 && file.bytes.size() >= 4 + 4 * dims,
                       "{}: IDX header is cut short; copy the file again", path);
  const size_t data_bytes = file.bytes.size() - 4 - 4 * dims;
  uint64_t product = 1;
  for (size_t d = 0; d < dims; ++d) {
    uint64_t extent = 0;
    for (size_t i = 0; i < 4; ++i) extent = extent << 8 | byte(file.offset++);
    file.shape.push_back(static_cast<int64_t>(extent));
    // The bound keeps the product of false extents from overflowing.
    product = extent == 0 ? 0 : product > data_bytes / extent ? data_bytes + 1 : product * extent;
    require<ConfigError>(product <= data_bytes,
                         "{}: IDX file is shorter than its header says; copy it again", path);
  }
  require<ConfigError>(product == data_bytes,
                       "{}: {} bytes follow the IDX data; copy the file again", path,
                       data_bytes - product);
  return file;
}

class IdxSource : public Source {
 public:
  IdxSource(const SourceConfig& config, const std::vector<std::string>& fields)
      : names_(std::make_shared<const std::vector<std::string>>(fields)) {
    for (const auto& path : config.paths) add_images(config, path);
    const auto label_paths = string_list(config, "labels");
    for (const auto& path : label_paths) add_labels(path);
    require<ConfigError>(
        label_paths.empty() || labels_.size() == images_.size(),
        "data.sources.{}.labels: {} labels for {} images; give the files that belong together",
        config.name, labels_.size(), images_.size());
    std::vector<std::string> known = {"image"};
    if (!label_paths.empty()) known.emplace_back("label");
    for (const auto& field : fields) require_field(config, config.paths.front(), field, known);
  }

  int64_t size() const override { return static_cast<int64_t>(images_.size()); }

  std::string where(int64_t index) const override {
    const Place place = images_[static_cast<size_t>(index)];
    return paths_[place.file] + ": image " + std::to_string(place.number);
  }

  void read(int64_t index, Record& record, bool pixels) const override {
    start_record(record, names_, index);
    for (size_t i = 0; i < names_->size(); ++i) {
      if ((*names_)[i] == "label")
        record.values[i] =
            static_cast<int64_t>(static_cast<uint8_t>(labels_[static_cast<size_t>(index)]));
      else if (pixels)
        read_image(images_[static_cast<size_t>(index)], record.values[i]);
      else
        record.values[i] = std::monostate{};
    }
  }

 private:
  struct Place {
    uint32_t file, number;
  };

  void add_images(const SourceConfig& config, const std::string& path) {
    files_.push_back(read_idx(path));
    paths_.push_back(path);
    auto& shape = files_.back().shape;
    const bool images =
        shape.size() == 3 || (shape.size() == 4 && (shape[3] == 1 || shape[3] == 3));
    require<ConfigError>(
        images,
        "{}: holds {} dimensions; data.sources.{} needs images [N, H, W] or [N, H, W, 1 or 3]",
        path, shape.size(), config.name);
    shape.resize(4, 1);
    require<ConfigError>(shape[1] > 0 && shape[2] > 0, "{}: images of no pixels; give other files",
                         path);
    for (int64_t i = 0; i < shape[0]; ++i)
      images_.push_back({static_cast<uint32_t>(files_.size() - 1), static_cast<uint32_t>(i)});
  }

  void add_labels(const std::string& path) {
    const IdxFile file = read_idx(path);
    require<ConfigError>(file.shape.size() == 1, "{}: holds {} dimensions; labels have one", path,
                         file.shape.size());
    labels_.append(file.bytes, file.offset);
  }

  void read_image(Place place, Value& value) const {
    const IdxFile& file = files_[place.file];
    if (!std::holds_alternative<Image>(value)) value.emplace<Image>();
    Image& image = std::get<Image>(value);
    image.height = file.shape[1], image.width = file.shape[2], image.channels = file.shape[3];
    const size_t count = static_cast<size_t>(image.height * image.width * image.channels);
    const char* begin = file.bytes.data() + file.offset + place.number * count;
    image.pixels.assign(begin, begin + count);
  }

  std::shared_ptr<const std::vector<std::string>> names_;
  std::vector<IdxFile> files_;
  std::vector<std::string> paths_;
  std::vector<Place> images_;
  std::string labels_;
};

}  // namespace

std::unique_ptr<Source> open_idx(const SourceConfig& config,
                                 const std::vector<std::string>& fields) {
  return std::make_unique<IdxSource>(config, fields);
}

}  // namespace veomni
