#include "core/data/source.h"

#include <map>

#include "core/data/text.h"
#include "core/error.h"

namespace veomni {
namespace {

using Open = std::unique_ptr<Source> (*)(const SourceConfig&, const std::vector<std::string>&);

const std::map<std::string, Open>& openers() {
  static const std::map<std::string, Open> table = {{"csv", open_csv},
                                                    {"idx", open_idx},
                                                    {"images", open_images},
                                                    {"jsonl", open_jsonl},
                                                    {"lines", open_lines}};
  return table;
}

Keys csv_keys() {
  return {
      {.name = "header",
       .type = Key::Type::boolean,
       .doc =
           "whether the first line names the columns; by default true unless `columns` is given"},
      {.name = "columns",
       .type = Key::Type::array,
       .doc = "names of the columns, in place of a header line's"},
      {.name = "delimiter",
       .type = Key::Type::string,
       .doc = "one character between cells",
       .default_value = ","},
      {.name = "missing",
       .type = Key::Type::any,
       .doc = "text, or list of texts, that stand for a missing cell"}};
}

Keys images_keys() {
  Keys keys = csv_keys();
  keys.push_back({.name = "images",
                  .type = Key::Type::any,
                  .doc = "manifest: the field, or list of fields, that hold paths of images",
                  .default_value = "image"});
  return keys;
}

}  // namespace

std::unique_ptr<Source> open_source(const SourceConfig& config,
                                    const std::vector<std::string>& fields) {
  const auto found = openers().find(config.format);
  require<ConfigError>(found != openers().end(),
                       "data.sources.{}.format: unknown format '{}'; known: {}", config.name,
                       config.format, join_names(source_formats()));
  require<ConfigError>(!config.paths.empty(), "data.sources.{}.path: names no file", config.name);
  auto source = found->second(config, fields);
  require<ConfigError>(source->size() > 0,
                       "{}: holds no record; give a file with data for data.sources.{}",
                       config.paths.front(), config.name);
  return source;
}

std::vector<std::string> source_formats() {
  return {"text", "lines", "jsonl", "csv", "idx", "images"};
}

const Keys& source_keys(const std::string& format) {
  static const std::map<std::string, Keys> table = {
      {"text",
       {{.name = "sample_tokens",
         .type = Key::Type::integer,
         .doc = "tokens in a sample; by default train.pack_tokens",
         .minimum = 1}}},
      {"lines", {}},
      {"jsonl", {}},
      {"csv", csv_keys()},
      {"idx",
       {{.name = "labels",
         .type = Key::Type::any,
         .doc = "file, or list of files, with the labels"}}},
      {"images", images_keys()}};
  const auto found = table.find(format);
  require<ConfigError>(found != table.end(), "unknown format '{}'; known: {}", format,
                       join_names(source_formats()));
  return found->second;
}

}  // namespace veomni
