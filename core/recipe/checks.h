#pragma once
// Checks that need more than one key. All throw ConfigError with the place of the wrong key.

#include <string>
#include <vector>

#include "core/recipe/document.h"
#include "core/recipe/recipe.h"

namespace veomni {

/// model.from: `recipe` gets the model.base that the directory's config.json describes; likewise encoders with "from".
/// What the recipe says itself must agree with it. Text to encode without the key "tokenizer" gets the directory's
/// tokenizer.json or tokenizer.model.
void apply_from(Json& recipe, const Document& document, const std::string& recipe_path);

/// Defaults of the base model that depend on other keys, and the sizes that must divide. `base` is
/// the resolved model.base.
void complete_base(Json& base, const Document& document);

/// Defaults that depend on other keys anywhere else: name, output, window lengths; paths become
/// absolute.
void complete_rest(Json& resolved, const std::string& recipe_path);

/// Encoders, tables, decoders and heads against one another and against their specs.
void check_model(const Recipe& recipe, const Document& document);
/// Sources against the model and the tokenizer.
void check_data(const Recipe& recipe, const Document& document);
/// The keys of a source's conversations; `path` is the source's. Nothing for other formats but keys
/// that have no effect there.
void check_conversations(const Recipe& recipe, const SourceConfig& source, const Path& path,
                         const Document& document);
/// train.groups against the parameters that the model will have.
void check_groups(const Recipe& recipe, const Document& document);
/// Schedule, evaluation and lengths.
void check_train(const Recipe& recipe, const Document& document);
/// Files that must exist and directories that can be made. Touches the file system, writes nothing.
void check_files(const Recipe& recipe, const Document& document);

/// The spec of a resolved part.
const PartSpec& spec_of(SpecRegistry::Kind kind, const PartConfig& part);

/// The part of that name, or null.
const PartConfig* find_part(const std::vector<PartConfig>& parts, const std::string& name);
std::vector<std::string> part_names(const std::vector<PartConfig>& parts);

}  // namespace veomni
