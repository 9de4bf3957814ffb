#include "modalities/export_spec.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "core/checkpoint/file_io.h"
#include "core/checkpoint/safetensors.h"
#include "core/data/tokenizer.h"
#include "core/data/tokenizer_export.h"
#include "core/error.h"
#include "core/hugging_face/config.h"
#include "core/hugging_face/half.h"
#include "core/template/chat_template.h"
#include "core/tokenizer/file_tokenizer.h"
#include "modalities/base/block_spec.h"
#include "modalities/base/hugging_face_spec.h"

namespace veomni {
namespace {

namespace fs = std::filesystem;

constexpr size_t kConfigBytes = size_t{16} << 20;

/// Where a piece of a tensor comes from: elements from `begin` on of one of our parameters.
struct Origin {
  HuggingFacePiece piece;
  std::string parameter;
  std::vector<int64_t> shape;  ///< of the parameter
  int64_t begin = 0;
};

/// One tensor of the export.
struct Item {
  std::string tensor;
  std::vector<int64_t> shape;
  std::vector<Origin> origins;
  int64_t count() const { return count_elements(shape).value(); }
};

int64_t vocabulary(const Recipe& recipe, const Checkpoint& checkpoint) {
  const std::string embedding = "model.embed_tokens.weight";
  require<ConfigError>(
      checkpoint.has(embedding),
      "export: {} has no text embedding; only models that read or write text have a class in "
      "transformers",
      recipe.name);
  return checkpoint.shape(embedding).at(0);
}

/// The encoder that the base model's class holds too; null for models of text alone.
const PartConfig* vision_part(const Recipe& recipe) {
  if (recipe.base.mrope_section.empty()) return nullptr;
  for (const auto& part : recipe.encoders)
    if (specs().get(SpecRegistry::Kind::encoder, part.type).write_config &&
        part.keys.contains("image_token_id"))
      return &part;
  throw ConfigError(
      "export: model.base has mrope_section, but no encoder has the token ids of a Qwen2.5-VL; "
      "start from a Qwen2.5-VL directory to export");
}

/// The class's tensors, and which parameters they are made of.
struct Items {
  std::vector<Item> list;
  std::set<std::string> exported;  ///< parameters

  void add(const ParameterSpec& parameter, const std::vector<HuggingFacePiece>& pieces) {
    int64_t begin = 0;
    for (const auto& piece : pieces) {
      const auto [place, is_new] = places_.emplace(piece.tensor, list.size());
      if (is_new) list.push_back({piece.tensor, piece.shape, {}});
      list[place->second].origins.push_back({piece, parameter.name, parameter.shape, begin});
      begin += piece.count();
      exported.insert(parameter.name);
    }
  }

 private:
  std::map<std::string, size_t> places_;
};

Items list_items(const Recipe& recipe, const BaseConfig& base) {
  Items items;
  for (const auto& unit : describe_base(base, base.vocab_size, 1, 0))
    for (const auto& parameter : unit.parameters)
      items.add(parameter, hugging_face_pieces(parameter.name, parameter.shape, base));
  const PartConfig* vision = vision_part(recipe);
  if (vision == nullptr) return items;
  const auto& spec = specs().get(SpecRegistry::Kind::encoder, vision->type);
  for (const auto& unit : spec.describe(*vision, base_sizes(recipe, base.vocab_size)))
    for (const auto& parameter : unit.parameters) items.add(parameter, parameter.pieces);
  return items;
}

std::vector<float> read_floats(const Checkpoint& checkpoint, const std::string& name,
                               const std::vector<int64_t>& shape, int64_t begin, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  checkpoint.read({name, "F32", shape, begin, begin + count, values.data()});
  return values;
}

std::vector<float> read_item(const Item& item, const Checkpoint& checkpoint) {
  std::vector<float> values(static_cast<size_t>(item.count()));
  for (const auto& origin : item.origins) {
    const auto& piece = origin.piece;
    const auto part =
        read_floats(checkpoint, origin.parameter, origin.shape, origin.begin, piece.count());
    if (!piece.transposed) {
      std::copy(part.begin(), part.end(), values.begin() + piece.begin);
      continue;
    }
    const auto rows = static_cast<size_t>(piece.shape[0]),
               columns = static_cast<size_t>(piece.shape[1]);
    for (size_t r = 0; r < rows; ++r)
      for (size_t c = 0; c < columns; ++c) values[r * columns + c] = part[c * rows + r];
  }
  return values;
}

std::vector<char> encode(const std::string& name, const std::vector<float>& values,
                         const std::string& dtype) {
  std::vector<char> bytes(values.size() * (dtype == "fp32" ? 4 : 2));
  if (dtype == "fp32") {
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t bits = dtype == "bf16" ? float_to_bf16(values[i]) : float_to_half(values[i]);
    require<ConfigError>(
        dtype == "bf16" || !std::isfinite(values[i]) || (bits & 0x7c00u) != 0x7c00u,
        "export: {} holds {}, which fp16 cannot; use bf16 or fp32", name, values[i]);
    std::memcpy(bytes.data() + 2 * i, &bits, 2);
  }
  return bytes;
}

/// Items of each file, none larger than `limit` bytes unless a single tensor is.
std::vector<std::vector<Item>> split(const std::vector<Item>& items, int64_t element_bytes,
                                     int64_t limit) {
  std::vector<std::vector<Item>> files(1);
  int64_t bytes = 0;
  for (const auto& item : items) {
    const int64_t size = item.count() * element_bytes;
    if (!files.back().empty() && bytes + size > limit) {
      files.emplace_back();
      bytes = 0;
    }
    files.back().push_back(item);
    bytes += size;
  }
  return files;
}

void write_file(const fs::path& path, const std::vector<Item>& items, const Checkpoint& checkpoint,
                const std::string& dtype) {
  std::vector<std::vector<char>> data;
  std::vector<SafetensorsTensor> tensors;
  for (const auto& item : items) {
    data.push_back(encode(item.tensor, read_item(item, checkpoint), dtype));
    const char* name = dtype == "fp32" ? "F32" : dtype == "bf16" ? "BF16" : "F16";
    tensors.push_back({item.tensor, name, item.shape, data.back().data()});
  }
  write_safetensors(path, tensors, {{"format", "pt"}});
}

void write_json(const fs::path& path, const Json& json) {
  write_file_atomically(path, json.dump(2) + "\n");
}

void write_weights(const std::vector<Item>& items, const Checkpoint& checkpoint,
                   const ExportSettings& settings, ExportResult& result) {
  const int64_t element_bytes = settings.dtype == "fp32" ? 4 : 2;
  const auto files = split(items, element_bytes, settings.shard_bytes);
  Json map = Json::object();
  for (size_t i = 0; i < files.size(); ++i) {
    const auto name = files.size() == 1
                          ? std::string("model.safetensors")
                          : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, files.size());
    write_file(settings.directory / name, files[i], checkpoint, settings.dtype);
    for (const auto& item : files[i]) {
      map[item.tensor] = name;
      result.bytes += item.count() * element_bytes;
    }
  }
  result.tensors = static_cast<int64_t>(items.size());
  result.files = static_cast<int64_t>(files.size());
  if (files.size() > 1)
    write_json(settings.directory / "model.safetensors.index.json",
               {{"metadata", {{"total_size", result.bytes}}}, {"weight_map", map}});
}

/// Parameters that belong to no tensor of the class.
int64_t write_rest(const Recipe& recipe, const Checkpoint& checkpoint,
                   const std::set<std::string>& exported, const fs::path& directory) {
  std::vector<std::vector<float>> data;
  std::vector<SafetensorsTensor> tensors;
  for (const auto& name : checkpoint.names()) {
    if (exported.contains(name) || name.starts_with("optimizer.") || name.starts_with("buffer."))
      continue;
    const auto shape = checkpoint.shape(name);
    data.push_back(read_floats(checkpoint, name, shape, 0, count_elements(shape).value()));
    tensors.push_back({name, "F32", shape, data.back().data()});
  }
  write_safetensors(directory / "veomni.safetensors", tensors);
  write_json(directory / "veomni.json", recipe.resolved);
  return static_cast<int64_t>(tensors.size());
}

/// How to generate, where the model came without it: greedy, up to the tokenizer's eos_token.
Json generation_config(const Recipe& recipe) {
  Json config{{"do_sample", false}};
  if (!is_tokenizer_file(recipe.tokenizer)) return config;
  const Json tokens = read_special_tokens(recipe.tokenizer);
  if (!tokens.contains("eos_token")) return config;
  const auto ids = FileTokenizer(recipe.tokenizer).encode(tokens["eos_token"].get<std::string>());
  if (ids.size() == 1) config["eos_token_id"] = ids[0];
  return config;
}

/// False where the folder has no such file.
bool copy_file_of(const fs::path& folder, const char* name, const fs::path& directory) {
  if (folder.empty() || !fs::is_regular_file(folder / name)) return false;
  return fs::copy_file(folder / name, directory / name);
}

/// The ids of special tokens of the directory that the model came from. Classes of transformers have defaults of their
/// own, which are right for the published models alone.
void copy_token_ids(const Recipe& recipe, Json& config) {
  const auto file = (fs::path(recipe.from) / "config.json").string();
  Json original = Json::object();
  if (!recipe.from.empty() && fs::is_regular_file(file))
    original = parse_located_json(read_text_file(file, kConfigBytes), file).value;
  const Json text = original.value("text_config", Json::object());
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    const Json id = text.value(key, original.value(key, Json(nullptr)));
    if (!id.is_null() || vision_part(recipe) != nullptr) config[key] = id;
  }
}

void write_configs(const Recipe& recipe, int64_t vocab_size, const ExportSettings& settings) {
  Json base = recipe.resolved.at("model").at("base");
  base["vocab_size"] = vocab_size;
  Json config = make_hugging_face_config(base, recipe.train.pack_tokens);
  if (const PartConfig* vision = vision_part(recipe))
    config.update(specs().get(SpecRegistry::Kind::encoder, vision->type).write_config(*vision));
  copy_token_ids(recipe, config);
  config["torch_dtype"] = settings.dtype == "fp32"   ? "float32"
                          : settings.dtype == "bf16" ? "bfloat16"
                                                     : "float16";
  write_json(settings.directory / "config.json", config);
  for (const char* name : {"preprocessor_config.json", "video_preprocessor_config.json"})
    copy_file_of(recipe.from, name, settings.directory);
  if (!copy_file_of(recipe.from, "generation_config.json", settings.directory))
    write_json(settings.directory / "generation_config.json", generation_config(recipe));
}

/// The recipe's own tokenizer; where samples were ids, that of the directory it started from.
void write_tokenizer_files(const Recipe& recipe, const Checkpoint& checkpoint,
                           const fs::path& directory) {
  const Json data = checkpoint.state().value("data", Json::object());
  const Json state = data.value("tokenizer", Json(nullptr));
  if (state.is_object()) return write_tokenizer(state, recipe.tokenizer, directory);
  for (const char* name :
       {"tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
        "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja"})
    copy_file_of(recipe.from, name, directory);
}

}  // namespace

ExportResult export_hugging_face(const Recipe& recipe, const Checkpoint& checkpoint,
                                 const ExportSettings& settings) {
  const int64_t vocab_size = vocabulary(recipe, checkpoint);
  require<ConfigError>(!fs::exists(settings.directory) || fs::is_empty(settings.directory),
                       "export: {} is there already and not empty; name another directory",
                       settings.directory.string());
  BaseConfig base = recipe.base;
  base.vocab_size = vocab_size;
  const Items items = list_items(recipe, base);
  fs::create_directories(settings.directory);
  ExportResult result;
  write_configs(recipe, vocab_size, settings);
  write_tokenizer_files(recipe, checkpoint, settings.directory);
  write_weights(items.list, checkpoint, settings, result);
  result.rest = write_rest(recipe, checkpoint, items.exported, settings.directory);
  return result;
}

}  // namespace veomni
