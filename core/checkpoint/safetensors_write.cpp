// Writing safetensors files.
#include <algorithm>
#include <array>
#include <set>

#include "core/checkpoint/file_io.h"
#include "core/checkpoint/safetensors.h"
#include "core/error.h"
#include "core/json.h"

namespace veomni {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::string_view, 10> kWritable{"F64", "F32", "F16", "BF16", "I64",
                                                     "I32", "I16", "I8",  "U8",   "BOOL"};

uint64_t checked_bytes(const fs::path& path, const SafetensorsTensor& tensor) {
  const auto where = fmt::format("{}: tensor {}", path.string(), in_quotes(tensor.name));
  const bool known = std::find(kWritable.begin(), kWritable.end(), tensor.dtype) != kWritable.end();
  require<Error>(known, "{}: dtype {} cannot be written", where, in_quotes(tensor.dtype));
  require<Error>(tensor.name != "__metadata__", "{}: the name is reserved", where);
  const auto count = count_elements(tensor.shape);
  require<Error>(count && *count < (int64_t{1} << 59), "{}: shape is impossible", where);
  const auto bytes = static_cast<uint64_t>(*count) * dtype_bytes(tensor.dtype);
  require<Error>(bytes == 0 || tensor.data != nullptr, "{}: has no data", where);
  return bytes;
}

/// JSON text of a name or value; names that are not UTF-8 have no JSON form.
std::string json_text(const fs::path& path, const std::string& text) {
  try {
    return Json(text).dump();
  } catch (const Json::exception&) {
    throw Error(fmt::format("{}: {} is not UTF-8", path.string(), in_quotes(text)));
  }
}

std::string make_header(const fs::path& path, const std::vector<const SafetensorsTensor*>& ordered,
                        const std::map<std::string, std::string>& metadata) {
  std::string header = "{";
  if (!metadata.empty()) {
    std::string separator = "\"__metadata__\":{";
    for (const auto& [key, text] : metadata) {
      header += separator + json_text(path, key) + ":" + json_text(path, text);
      separator = ",";
    }
    header += "}";
  }
  uint64_t begin = 0;
  for (const auto* tensor : ordered) {
    const uint64_t end = begin + checked_bytes(path, *tensor);
    header += fmt::format(R"({}{}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                          header.size() > 1 ? "," : "", json_text(path, tensor->name),
                          tensor->dtype, fmt::join(tensor->shape, ","), begin, end);
    begin = end;
  }
  header += "}";
  header.append((8 - header.size() % 8) % 8, ' ');
  require<Error>(header.size() <= SafetensorsFile::kHeaderLimit,
                 "{}: the header takes {} bytes, more than the format's limit", path.string(),
                 header.size());
  return header;
}

}  // namespace

void write_safetensors(const fs::path& path, const std::vector<SafetensorsTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const SafetensorsTensor*> ordered;
  std::set<std::string_view> names;
  for (const auto& tensor : tensors) {
    require<Error>(names.insert(tensor.name).second, "{}: tensor {} is given twice", path.string(),
                   in_quotes(tensor.name));
    ordered.push_back(&tensor);
  }
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto* a, const auto* b) {
    return dtype_bytes(a->dtype) > dtype_bytes(b->dtype);
  });
  const auto header = make_header(path, ordered, metadata);
  std::string length(8, '\0');
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<char>((header.size() >> (8 * i)) & 0xff);
  AtomicFile file(path);
  file.write(length);
  file.write(header);
  for (const auto* tensor : ordered) file.write(tensor->data, checked_bytes(path, *tensor));
  file.commit();
}

}  // namespace veomni
