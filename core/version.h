#pragma once

namespace veomni {
const char* version();  ///< of the program, for example 0.1.0
}
