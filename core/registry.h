#pragma once
// Factories by name: strategies, optimizers, parts. The list of names is explicit
// (modalities/all.cpp).

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/suggest.h"

namespace veomni {

/// Makes a `unique_ptr<Interface>` from a name and `Args…`.
template <class Interface, class... Args>
class Registry {
 public:
  using Factory = std::function<std::unique_ptr<Interface>(Args...)>;

  /// `what` is the word in errors: "encoder", "schedule".
  explicit Registry(std::string what) : what_(std::move(what)) {}

  /// Throws Error when the name is taken.
  void add(const std::string& name, Factory factory) {
    require<Error>(factories_.emplace(name, std::move(factory)).second,
                   "{} '{}' is registered twice; give one of them another name", what_, name);
  }

  /// Throws ConfigError: `unknown encoder 'vidoe'; did you mean 'video'?`
  std::unique_ptr<Interface> make(const std::string& name, Args... args) const {
    const auto found = factories_.find(name);
    if (found == factories_.end()) {
      throw ConfigError(fmt::format("unknown {} '{}'{}", what_, name, did_you_mean(name, names())));
    }
    return found->second(std::forward<Args>(args)...);
  }

  bool has(const std::string& name) const { return factories_.count(name) > 0; }

  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& [name, factory] : factories_) all.push_back(name);
    return all;
  }

 private:
  std::string what_;
  std::map<std::string, Factory> factories_;
};

}  // namespace veomni
