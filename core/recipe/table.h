#pragma once
// The keys of a recipe (design: section 5): one table for the reader, its errors, the defaults and
// the JSON Schema.

#include "core/recipe/spec.h"

namespace veomni {

/// The whole recipe; parts come from specs().
Key recipe_key();

Key model_key();  ///< model: base, tables, encoders, decoders, heads
Key base_key();   ///< model.base: the families of core/recipe/family.h
Key data_key();   ///< data: sources
Key train_key();  ///< train: steps, packs, optimizer, schedule, …

/// A key known to the design that this version does not have; `instead` says what to do.
Key reserved_key(const std::string& name, const std::string& instead = "");

/// The field names a format always has; empty when the file's columns decide.
std::vector<std::string> format_fields(const std::string& format);

}  // namespace veomni
