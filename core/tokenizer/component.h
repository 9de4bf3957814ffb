#pragma once
// One component of a tokenizer.json (`{"type": "Split", "pattern": …}`), read strictly: what is not
// known is refused by name, because leaving it out would change the ids.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/sorted_json.h"

namespace veomni {

/// Finding one key among 100,000 must be fast.
using FileJson = SortedJson;

class Component {
 public:
  /// `where`: the file and the dotted path of the object, for errors. `json` outlives this.
  /// Throws ConfigError where it is no object.
  Component(const FileJson& json, std::string where);

  const std::string& where() const { return where_; }
  std::string at(const std::string& key) const { return where_ + "." + key; }
  bool has(const std::string& key) const;  ///< and it is not null

  /// These throw ConfigError for a value of another type, and where it is absent without default.
  bool flag(const std::string& key, bool value_if_absent);
  std::string text(const std::string& key);
  std::string text(const std::string& key, const std::string& value_if_absent);
  int64_t integer(const std::string& key, int64_t least, int64_t most);
  const FileJson& array(const std::string& key);
  const FileJson& any(const std::string& key);
  void ignore(const std::string& key) { seen_.insert(key); }  ///< it has no effect on ids

  /// Refuses the keys that nobody has asked for.
  void finish() const;

  [[noreturn]] void refuse(const std::string& what, const std::string& what_to_do) const;
  /// `unknown normalizer 'X'; this version has: A, B`
  [[noreturn]] void refuse_type(const std::string& kind, const std::string& type,
                                const std::string& known) const;

 private:
  const FileJson& json_;
  std::string where_;
  std::set<std::string> seen_;
};

/// The object's "type".
std::string component_type(const FileJson& json, const std::string& where);

/// Code points of a text that must be one: a replacement character.
std::string one_character(Component& component, const std::string& key,
                          const std::string& fallback);

}  // namespace veomni
