#pragma once

#include "modalities/encoder.h"

namespace veomni {

std::unique_ptr<Encoder> make_qwen2_5_vl(const PartConfig& config, BuildContext& context);

}  // namespace veomni
