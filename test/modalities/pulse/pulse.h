#pragma once
// A modality that does not ship: a list of whole numbers (a pulse, a sensor) cut into frames, one token a frame.

#include "modalities/encoder.h"

namespace veomni {

PartSpec pulse_spec();
std::unique_ptr<Encoder> make_pulse(const PartConfig& config, BuildContext& context);

}  // namespace veomni
