#pragma once

#include "modalities/encoder.h"

namespace veomni {

std::unique_ptr<Encoder> make_audio(const PartConfig& config, BuildContext& context);

}  // namespace veomni
