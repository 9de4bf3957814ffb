#pragma once
// Resampling of images.

#include <vector>

#include "core/data/record.h"

namespace veomni {

/// Bilinear with antialiasing: when an axis shrinks, the triangle filter widens by the scale, so
/// that every input pixel counts (what torchvision calls antialias=True and Pillow BILINEAR). Pixel
/// centres are at half integers. Returns [height, width, channels] in 0..255, not rounded.
std::vector<float> resize_bilinear(const Image& image, int64_t height, int64_t width);

/// Pillow's Image.resize(…, BICUBIC), bit for bit (Keys 1981, a = -0.5, the filter widened by the
/// scale where an axis shrinks): columns, then rows, 22-bit fixed-point weights, each pass rounded
/// to a byte. Hugging Face's image processors resize so; their torchvision form is off by 1,
/// rarely 2, here and there.
Image resize_bicubic(const Image& image, int64_t height, int64_t width);

struct Window {
  int64_t top, left, height, width;
};
/// That part of it; the rest is not computed.
Image resize_bicubic(const Image& image, int64_t height, int64_t width, const Window& window);

}  // namespace veomni
