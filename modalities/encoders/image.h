#pragma once

#include "modalities/encoder.h"

namespace veomni {
std::unique_ptr<Encoder> make_image(const PartConfig& config, BuildContext& context);
}
