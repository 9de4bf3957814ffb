#include "core/data/image_codec.h"

#include "core/error.h"

namespace veomni {

void require_pixels(int64_t height, int64_t width, const std::string& path) {
  require<ConfigError>(height > 0 && width > 0 && height <= kMaxPixels / width,
                       "{}: {}x{} pixels are more than the {} allowed; make the image smaller",
                       path, width, height, kMaxPixels);
}

Image decode_image(std::string_view bytes, const std::string& path) {
  if (bytes.substr(0, 8) == "\x89PNG\r\n\x1a\n") return decode_png(bytes, path);
  if (bytes.substr(0, 3) == "\xff\xd8\xff") return decode_jpeg(bytes, path);
  throw ConfigError(path + ": is neither PNG nor JPEG; convert the image");
}

}  // namespace veomni
