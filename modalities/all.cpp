// One line a part. Compiled twice: into libveomni_base.so with specs only, into the engine with factories as well.
#include "modalities/all.h"

#include "core/recipe/spec.h"

namespace veomni {

#ifdef VEOMNI_SPECS_ONLY
void register_specs() {}
#else
void register_parts() {}
#endif

}  // namespace veomni
