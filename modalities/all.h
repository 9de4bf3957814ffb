#pragma once
// The list of parts. In libveomni_base.so it registers specs only; in the engine it also registers factories.

namespace veomni {
void register_specs();  ///< once, before a recipe is read; in libveomni_base.so
void register_parts();  ///< once, before a model is built; in libveomni_engine.so
}  // namespace veomni
