#pragma once
// The specs of the parts that ship, one function a `*_spec.cpp`.

#include "core/recipe/spec.h"

namespace veomni {

PartSpec image_spec();
PartSpec siglip_spec();
PartSpec clip_spec();
PartSpec audio_spec();
PartSpec qwen2_5_vl_spec();
PartSpec features_spec();
PartSpec text_spec();
PartSpec classification_spec();
PartSpec binary_spec();
PartSpec regression_spec();
PartSpec revenue_spec();

}  // namespace veomni
