#include "core/version.h"

namespace veomni {

const char* version() { return VEOMNI_VERSION; }

}  // namespace veomni
