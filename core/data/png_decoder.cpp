// PNG through libpng's row interface: its simplified one would apply gamma, which other trainers do
// not.
#include <png.h>

#include <csetjmp>
#include <cstring>

#include "core/data/image_codec.h"
#include "core/error.h"

namespace veomni {
namespace {

struct Reader {
  std::string_view bytes;
  size_t offset = 0;
  char message[200] = {};
};

void read_bytes(png_structp png, png_bytep out, size_t count) {
  auto* reader = static_cast<Reader*>(png_get_io_ptr(png));
  if (count > reader->bytes.size() - reader->offset) png_error(png, "the file is cut short");
  std::memcpy(out, reader->bytes.data() + reader->offset, count);
  reader->offset += count;
}

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* reader = static_cast<Reader*>(png_get_error_ptr(png));
  std::strncpy(reader->message, message, sizeof reader->message - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

// Owns libpng's state; every call that may jump is made by the two functions below, which hold no
// C++ objects.
struct Decoder {
  png_structp png = nullptr;
  png_infop info = nullptr;
  explicit Decoder(Reader& reader) {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning);
    info = png != nullptr ? png_create_info_struct(png) : nullptr;
    if (info == nullptr) {
      png_destroy_read_struct(&png, nullptr, nullptr);
      throw Error("libpng: out of memory");
    }
    png_set_read_fn(png, &reader, read_bytes);
    png_set_user_limits(png, 0x7fffffff, 0x7fffffff);  // require_pixels bounds their product
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { png_destroy_read_struct(&png, &info, nullptr); }
};

bool read_header(png_structp png, png_infop info) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_read_info(png, info);
  return true;
}

// Asks for 8-bit grey or RGB, with alpha where the file has any.
bool start_rows(png_structp png, png_infop info) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_scale_16(png);
  png_set_expand(png);  // palette to RGB, 1..4-bit grey to 8, tRNS to alpha
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  return true;
}

bool read_rows(png_structp png, png_bytepp rows) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_read_image(png, rows);
  png_read_end(png, nullptr);
  return true;
}

// Drops the alpha channel: colour over white, rounded to nearest.
std::vector<uint8_t> over_white(const std::vector<uint8_t>& pixels, size_t channels) {
  const size_t colours = channels - 1, count = pixels.size() / channels;
  std::vector<uint8_t> result(count * colours);
  for (size_t i = 0; i < count; ++i) {
    const unsigned alpha = pixels[i * channels + colours];
    for (size_t c = 0; c < colours; ++c) {
      const unsigned sum = pixels[i * channels + c] * alpha + 255 * (255 - alpha);
      result[i * colours + c] = static_cast<uint8_t>((sum + 127) / 255);
    }
  }
  return result;
}

}  // namespace

Image decode_png(std::string_view bytes, const std::string& path) {
  Reader reader{.bytes = bytes};
  Decoder decoder(reader);
  const auto check = [&](bool ok) {
    require<ConfigError>(ok, "{}: damaged PNG ({}); replace the image", path, reader.message);
  };
  check(read_header(decoder.png, decoder.info));
  Image image;
  image.height = png_get_image_height(decoder.png, decoder.info);
  image.width = png_get_image_width(decoder.png, decoder.info);
  require_pixels(image.height, image.width, path);
  check(start_rows(decoder.png, decoder.info));
  const size_t channels = png_get_channels(decoder.png, decoder.info);
  const size_t row_bytes = static_cast<size_t>(image.width) * channels;
  require<ConfigError>(png_get_rowbytes(decoder.png, decoder.info) == row_bytes,
                       "{}: PNG of an unknown layout; convert the image", path);
  image.pixels.resize(static_cast<size_t>(image.height) * row_bytes);
  std::vector<png_bytep> rows(static_cast<size_t>(image.height));
  for (size_t y = 0; y < rows.size(); ++y) rows[y] = image.pixels.data() + y * row_bytes;
  check(read_rows(decoder.png, rows.data()));
  if (channels % 2 == 0) image.pixels = over_white(image.pixels, channels);
  image.channels = channels <= 2 ? 1 : 3;
  return image;
}

}  // namespace veomni
