#pragma once
// PNG and JPEG files to pixels.

#include <string>
#include <string_view>

#include "core/data/record.h"

namespace veomni {

/// Larger images are refused before any pixel is unpacked (a small file can claim billions).
inline constexpr int64_t kMaxPixels = int64_t{1} << 26;

/// Decodes a PNG (any colour type and depth) or JPEG (grey, colour, CMYK) known by its first bytes,
/// not by its name.
///
/// Grey stays grey (1 channel), everything else becomes RGB (3). Transparent pixels are composited
/// on white; 1-, 2- and 4-bit grey is stretched to 0..255; 16 bits are scaled to 8. Colour
/// profiles, gamma and EXIF orientation are not applied. Throws ConfigError `path: what; what to
/// do` on other formats, damaged or cut files, and images above kMaxPixels.
Image decode_image(std::string_view bytes, const std::string& path);

// The two decoders behind it.
Image decode_png(std::string_view bytes, const std::string& path);
Image decode_jpeg(std::string_view bytes, const std::string& path);
/// Throws unless height × width is within 1..kMaxPixels.
void require_pixels(int64_t height, int64_t width, const std::string& path);

}  // namespace veomni
