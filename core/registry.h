#pragma once
// Factories by name. Lists are explicit: a self-registering static in a library is dropped by the linker.

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/error.h"

namespace veomni {

template <class Interface, class... Args>
class Registry {
 public:
  using Factory = std::function<std::unique_ptr<Interface>(Args...)>;

  explicit Registry(std::string kind) : kind_(std::move(kind)) {}

  void add(const std::string& type, Factory factory) {
    require<Error>(factories_.emplace(type, std::move(factory)).second, "{} '{}' is registered twice",
                   kind_, type);
  }

  std::unique_ptr<Interface> make(const std::string& type, Args... args) const {
    const auto found = factories_.find(type);
    require<ConfigError>(found != factories_.end(), "unknown {} '{}'; known: {}", kind_, type, known());
    return found->second(std::forward<Args>(args)...);
  }

 private:
  std::string known() const {
    std::string names;
    for (const auto& [name, factory] : factories_) names += (names.empty() ? "" : ", ") + name;
    return names;
  }

  std::string kind_;
  std::map<std::string, Factory> factories_;
};

}  // namespace veomni
