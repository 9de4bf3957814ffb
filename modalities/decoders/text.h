#pragma once

#include "modalities/decoder.h"

namespace veomni {
std::unique_ptr<Decoder> make_text(const PartConfig& config, BuildContext& context);
}
