#pragma once

#include "modalities/encoder.h"

namespace veomni {

std::unique_ptr<Encoder> make_siglip(const PartConfig& config, BuildContext& context);
std::unique_ptr<Encoder> make_clip(const PartConfig& config, BuildContext& context);

}  // namespace veomni
