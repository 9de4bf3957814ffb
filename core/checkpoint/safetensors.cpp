// Reading safetensors files.
#include "core/checkpoint/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "core/checkpoint/file_io.h"
#include "core/error.h"
#include "core/sorted_json.h"

namespace veomni {
namespace fs = std::filesystem;
__extension__ using WideCount = unsigned __int128;  // products of sizes, before they are checked

struct SafetensorsFile::State {
  fs::path path;
  MappedFile file;
  std::string_view header;
  std::vector<SafetensorsTensor> tensors;
  std::unordered_map<std::string, size_t> by_name;
  std::map<std::string, std::string> metadata;

  explicit State(const fs::path& where) : path(where), file(where) {}
};

namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr int kDeepest = 3;  // {name: {shape: [ ]}}

[[noreturn]] void fail_at(const fs::path& path, uint64_t byte, const std::string& what) {
  throw ConfigError(fmt::format("{}: byte {}: {}", path.string(), byte, what));
}

std::string_view find_header(const fs::path& path, const MappedFile& file) {
  if (file.bytes() < kLengthBytes) {
    fail_at(path, file.bytes(), "the file ends within the header's length; it is truncated");
  }
  uint64_t length = 0;
  for (uint64_t i = 0; i < kLengthBytes; ++i) {
    length |= std::to_integer<uint64_t>(file.data()[i]) << (8 * i);
  }
  if (length > SafetensorsFile::kHeaderLimit) {
    fail_at(
        path, 0,
        fmt::format("header length {} exceeds the format's limit of {}; not a safetensors file?",
                    length, SafetensorsFile::kHeaderLimit));
  }
  if (length > file.bytes() - kLengthBytes) {
    fail_at(path, file.bytes(),
            fmt::format("the file ends within its header of {} bytes; it is truncated", length));
  }
  return file.text().substr(kLengthBytes, length);
}

SortedJson parse_header(const fs::path& path, std::string_view text) {
  if (text.empty() || text.front() != '{')
    fail_at(path, kLengthBytes, "the header must begin with '{'");
  return parse_sorted_json({.text = text,
                            .file = path.string(),
                            .what = "the header",
                            .begin = kLengthBytes,
                            .depth = kDeepest});
}

/// One entry of the header, on its way to a SafetensorsTensor.
struct Entry {
  const fs::path& path;
  std::string_view header;
  const std::string& name;
  const SortedJson& value;

  [[noreturn]] void fail(const std::string& what) const {
    const auto place = header.find(SortedJson(name).dump() + ":");
    fail_at(path, kLengthBytes + (place == header.npos ? 0 : place),
            fmt::format("tensor {}: {}", in_quotes(name), what));
  }

  std::vector<int64_t> integers(const char* key) const {
    const auto& list = value.at(key);
    if (!list.is_array()) fail(fmt::format("'{}' must be a list of integers", key));
    std::vector<int64_t> result;
    for (const auto& item : list) {
      if (!item.is_number_unsigned() || item.get<uint64_t>() > (uint64_t{1} << 62)) {
        fail(fmt::format("'{}' holds {}; it must hold integers from 0 to 2^62", key,
                         in_quotes(item.dump())));
      }
      result.push_back(item.get<int64_t>());
    }
    return result;
  }

  std::string dtype() const {
    const auto& text = value.at("dtype");
    if (!text.is_string()) fail("'dtype' must be a string");
    auto result = text.get<std::string>();
    if (dtype_bytes(result) == 0) fail(fmt::format("dtype {} is unknown", in_quotes(result)));
    return result;
  }
};

SafetensorsTensor read_entry(const Entry& entry, const MappedFile& file, uint64_t data_begin) {
  if (!entry.value.is_object()) entry.fail("must be an object");
  for (const char* key : {"dtype", "shape", "data_offsets"}) {
    if (!entry.value.contains(key)) entry.fail(fmt::format("'{}' is missing", key));
  }
  if (entry.value.size() != 3) entry.fail("has keys besides dtype, shape and data_offsets");
  SafetensorsTensor tensor{
      .name = entry.name, .dtype = entry.dtype(), .shape = entry.integers("shape")};
  const auto offsets = entry.integers("data_offsets");
  if (offsets.size() != 2 || offsets[0] > offsets[1])
    entry.fail("'data_offsets' must be [begin, end]");
  const auto elements = count_elements(tensor.shape);
  if (!elements) entry.fail("shape has more than 2^62 elements");
  const auto count = static_cast<uint64_t>(*elements);
  tensor.bytes = static_cast<uint64_t>(offsets[1] - offsets[0]);
  const auto needed = static_cast<WideCount>(count) * dtype_bytes(tensor.dtype);
  if (needed != tensor.bytes) {
    entry.fail(fmt::format("{} of {} elements does not fill its {} bytes", tensor.dtype, count,
                           tensor.bytes));
  }
  if (static_cast<uint64_t>(offsets[1]) > file.bytes() - data_begin) {
    fail_at(entry.path, file.bytes(),
            fmt::format("tensor {} ends at byte {}, after the end of the file; it is truncated",
                        in_quotes(entry.name), data_begin + static_cast<uint64_t>(offsets[1])));
  }
  tensor.data = file.data() + data_begin + offsets[0];
  return tensor;
}

std::map<std::string, std::string> read_metadata(const fs::path& path, const SortedJson& value) {
  const auto fail = [&] {
    fail_at(path, kLengthBytes, "'__metadata__' must map names to strings");
  };
  if (!value.is_object()) fail();
  std::map<std::string, std::string> result;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) fail();
    result[key] = text.get<std::string>();
  }
  return result;
}

/// Sorted by place, the tensors must follow one another from the first data byte to the last byte
/// of the file.
void check_contiguous(const fs::path& path, std::vector<SafetensorsTensor>& tensors,
                      const std::byte* begin, const MappedFile& file) {
  const auto place = [](const SafetensorsTensor& t) {
    return static_cast<const std::byte*>(t.data);
  };
  std::stable_sort(tensors.begin(), tensors.end(), [&](const auto& a, const auto& b) {
    return std::pair(place(a), place(a) + a.bytes) < std::pair(place(b), place(b) + b.bytes);
  });
  const std::byte* expected = begin;
  for (const auto& tensor : tensors) {
    const auto byte = static_cast<uint64_t>(place(tensor) - file.data());
    if (place(tensor) < expected)
      fail_at(path, byte, fmt::format("tensor {} overlaps another", in_quotes(tensor.name)));
    if (place(tensor) > expected) {
      fail_at(path, static_cast<uint64_t>(expected - file.data()),
              fmt::format("{} bytes before tensor {} belong to no tensor", place(tensor) - expected,
                          in_quotes(tensor.name)));
    }
    expected += tensor.bytes;
  }
  const auto end = static_cast<uint64_t>(expected - file.data());
  if (end != file.bytes())
    fail_at(path, end, fmt::format("{} bytes after the last tensor", file.bytes() - end));
}

}  // namespace

uint64_t dtype_bytes(std::string_view dtype) {
  static constexpr std::array<std::pair<std::string_view, uint64_t>, 15> kTable{{{"F64", 8},
                                                                                 {"I64", 8},
                                                                                 {"U64", 8},
                                                                                 {"F32", 4},
                                                                                 {"I32", 4},
                                                                                 {"U32", 4},
                                                                                 {"F16", 2},
                                                                                 {"BF16", 2},
                                                                                 {"I16", 2},
                                                                                 {"U16", 2},
                                                                                 {"I8", 1},
                                                                                 {"U8", 1},
                                                                                 {"BOOL", 1},
                                                                                 {"F8_E4M3", 1},
                                                                                 {"F8_E5M2", 1}}};
  for (const auto& [name, bytes] : kTable) {
    if (name == dtype) return bytes;
  }
  return 0;
}

std::optional<int64_t> count_elements(const std::vector<int64_t>& shape) {
  constexpr auto kLimit = static_cast<WideCount>(1) << 62;
  WideCount count = 1;
  bool empty = false;
  for (const int64_t size : shape) {
    if (size < 0) return std::nullopt;
    if (size == 0) empty = true;
    count *= static_cast<WideCount>(size > 0 ? size : 1);
    if (count > kLimit) return std::nullopt;
  }
  return empty ? 0 : static_cast<int64_t>(count);
}

SafetensorsFile::SafetensorsFile(const fs::path& path) {
  auto state = std::make_shared<State>(path);
  state->header = find_header(path, state->file);
  const auto header = parse_header(path, state->header);
  const uint64_t data_begin = kLengthBytes + state->header.size();
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      state->metadata = read_metadata(path, value);
    } else {
      state->tensors.push_back(
          read_entry({path, state->header, name, value}, state->file, data_begin));
    }
  }
  check_contiguous(path, state->tensors, state->file.data() + data_begin, state->file);
  for (size_t i = 0; i < state->tensors.size(); ++i) state->by_name[state->tensors[i].name] = i;
  state_ = std::move(state);
}

const fs::path& SafetensorsFile::path() const { return state_->path; }
const std::vector<SafetensorsTensor>& SafetensorsFile::tensors() const { return state_->tensors; }
const std::map<std::string, std::string>& SafetensorsFile::metadata() const {
  return state_->metadata;
}
std::string_view SafetensorsFile::header() const { return state_->header; }
uint64_t SafetensorsFile::file_bytes() const { return state_->file.bytes(); }

void SafetensorsFile::read(const SafetensorsTensor& tensor, uint64_t begin, uint64_t bytes,
                           void* out) const {
  require<Error>(begin <= tensor.bytes && bytes <= tensor.bytes - begin,
                 "{}: bytes {} to {} of a tensor of {}", state_->path.string(), begin,
                 begin + bytes, tensor.bytes);
  state_->file.read(offset(tensor) + begin, bytes, out);
}

uint64_t SafetensorsFile::offset(const SafetensorsTensor& tensor) const {
  return static_cast<uint64_t>(static_cast<const std::byte*>(tensor.data) - state_->file.data());
}

const SafetensorsTensor* SafetensorsFile::find(const std::string& name) const {
  const auto found = state_->by_name.find(name);
  return found == state_->by_name.end() ? nullptr : &state_->tensors[found->second];
}

const SafetensorsTensor& SafetensorsFile::get(const std::string& name) const {
  const auto* tensor = find(name);
  require<ConfigError>(tensor != nullptr, "{}: has no tensor {}", state_->path.string(),
                       in_quotes(name));
  return *tensor;
}

}  // namespace veomni
