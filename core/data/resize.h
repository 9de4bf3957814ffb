#pragma once
// Resampling of images.

#include <vector>

#include "core/data/record.h"

namespace veomni {

/// Bilinear with antialiasing: when an axis shrinks, the triangle filter widens by the scale, so
/// that every input pixel counts (what torchvision calls antialias=True and Pillow BILINEAR). Pixel
/// centres are at half integers. Returns [height, width, channels] in 0..255, not rounded.
std::vector<float> resize_bilinear(const Image& image, int64_t height, int64_t width);

}  // namespace veomni
