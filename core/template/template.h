#pragma once
// A Jinja template as chat templates use it: parsed once, rendered often.
//
// Supported: what README.md lists. Everything else is refused when the template is parsed.

#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/template/syntax.h"

namespace veomni::jinja {

class Template {
 public:
  struct Output {
    std::string text;
    std::vector<std::pair<size_t, size_t>> generation;  ///< bytes of each {% generation %} block
    bool lost_generation = false;  ///< one stood inside a macro or the like: its place is unknown
  };

  /// `name` is what errors show. Throws ConfigError `name:line:column: what`.
  Template(std::string name, std::string_view text);

  /// `variables`: an object. `now`: what strftime_now shows. Thread-safe. Throws ConfigError
  /// `name:line:column: what` when the template raises, or needs more than its share of time,
  /// memory or depth.
  Output render(const Json& variables, std::time_t now) const;
  bool has_generation() const { return syntax_.has_generation; }

 private:
  Source source_;
  Syntax syntax_;
};

}  // namespace veomni::jinja
