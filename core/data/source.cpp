#include "core/data/source.h"

#include <map>

#include "core/data/chat_source.h"
#include "core/data/text.h"
#include "core/error.h"

namespace veomni {
namespace {

using Open = std::unique_ptr<Source> (*)(const SourceConfig&, const std::vector<std::string>&);

const std::map<std::string, Open>& openers() {
  static const std::map<std::string, Open> table = {
      {"csv", open_csv},     {"idx", open_idx},       {"images", open_images},
      {"jsonl", open_jsonl}, {"tokens", open_jsonl},  {"lines", open_lines},
      {"alpaca", open_chat}, {"sharegpt", open_chat}, {"messages", open_chat},
      {"media", open_media}};
  return table;
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
  return {"text",     "lines", "jsonl", "tokens", "alpaca", "sharegpt",
          "messages", "csv",   "idx",   "images", "media"};
}

}  // namespace veomni
