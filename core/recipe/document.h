#pragma once
// A recipe's JSON with its `key=value` overrides applied, and where each of its keys came from.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace veomni {

/// Keys and array indices from the root of a recipe: {"data", "sources", "0", "path"}.
using Path = std::vector<std::string>;

/// data.sources.0.path
std::string dotted(const Path& path);
/// `path` with one more step.
Path child(const Path& path, const std::string& step);

class Document {
 public:
  /// `name` is the file as the user wrote it. Throws ConfigError on a text that is no JSON object,
  /// or on an override whose path or value cannot be read.
  Document(std::string_view text, const std::string& name,
           const std::vector<std::string>& overrides);

  const Json& value() const { return json_.value; }

  /// Throws ConfigError: `recipe.json:12:9: train.stepz: message`, at the key (or array item).
  [[noreturn]] void fail_key(const Path& path, const std::string& message) const;
  /// The same, at the value.
  [[noreturn]] void fail_value(const Path& path, const std::string& message) const;
  /// Repeats an error whose message starts with a dotted path, with its place in front.
  [[noreturn]] void fail_located(const Path& fallback, const std::string& message) const;

 private:
  void apply(const std::string& argument);
  std::string place(const Path& path, bool of_key) const;

  std::string name_;
  LocatedJson json_;
  std::map<std::string, std::string> origins_;  ///< JSON pointer → the argument that set it
};

}  // namespace veomni
