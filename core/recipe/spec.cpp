#include "core/recipe/spec.h"

#include <array>

#include "core/error.h"
#include "core/suggest.h"

namespace veomni {

namespace {
constexpr std::array<const char*, 3> kKindNames{"encoder", "decoder", "head"};

const char* kind_name(SpecRegistry::Kind kind) { return kKindNames[static_cast<size_t>(kind)]; }
}  // namespace

void SpecRegistry::add(Kind kind, PartSpec spec) {
  require<Error>(find(kind, spec.type) == nullptr,
                 "{} '{}' is registered twice; give one of them another type", kind_name(kind),
                 spec.type);
  specs_[static_cast<size_t>(kind)].push_back(std::move(spec));
}

const PartSpec* SpecRegistry::find(Kind kind, const std::string& type) const {
  for (const PartSpec& spec : all(kind)) {
    if (spec.type == type) return &spec;
  }
  return nullptr;
}

const PartSpec& SpecRegistry::get(Kind kind, const std::string& type) const {
  if (const PartSpec* spec = find(kind, type)) return *spec;
  std::vector<std::string> known;
  for (const PartSpec& spec : all(kind)) known.push_back(spec.type);
  throw ConfigError(
      fmt::format("unknown {} '{}'{}", kind_name(kind), type, did_you_mean(type, known)));
}

const std::vector<PartSpec>& SpecRegistry::all(Kind kind) const {
  return specs_[static_cast<size_t>(kind)];
}

SpecRegistry& specs() {
  static SpecRegistry registry;
  return registry;
}

}  // namespace veomni
