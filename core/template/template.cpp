#include "core/template/template.h"

#include "core/error.h"
#include "core/template/interpreter.h"
#include "core/tokenizer/unicode.h"

namespace veomni::jinja {
namespace {

Source checked(std::string name, std::string_view text) {
  require<ConfigError>(text.size() <= kTemplateBytes, "{}: has {} bytes; a template has at most {}",
                       name, text.size(), kTemplateBytes);
  const size_t invalid = find_invalid_utf8(text);
  require<ConfigError>(invalid == std::string_view::npos,
                       "{}: invalid UTF-8 at byte {}; save it as UTF-8", name, invalid);
  return {std::move(name), normalized_source(text)};
}

}  // namespace

Template::Template(std::string name, std::string_view text)
    : source_(checked(std::move(name), text)), syntax_(parse(source_)) {}

Template::Output Template::render(const Json& variables, std::time_t now) const {
  Interpreter run(syntax_, source_, now);
  Output output;
  output.text = run.run(variables);
  for (const auto& span : run.spans()) output.generation.emplace_back(span.begin, span.end);
  output.lost_generation = run.lost_spans();
  return output;
}

}  // namespace veomni::jinja
