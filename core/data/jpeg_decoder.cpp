// JPEG through libjpeg. Its warnings of lost data are errors here: half a picture must train nothing.
#include <csetjmp>
#include <cstddef>
#include <cstdio>

// libjpeg's headers need FILE before them, and jerror.h needs jpeglib.h: no sorting here.
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include "core/data/image_codec.h"
#include "core/error.h"

namespace veomni {
namespace {

struct Handler {
  jpeg_error_mgr base;  // first, so that libjpeg's pointer is ours too
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void on_error(j_common_ptr info) {
  auto* handler = reinterpret_cast<Handler*>(info->err);
  info->err->format_message(info, handler->message);
  std::longjmp(handler->jump, 1);
}

bool loses_data(int code) {
  return code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE ||
         code == JWRN_ARITH_BAD_CODE || code == JWRN_BOGUS_PROGRESSION || code == JWRN_MUST_RESYNC;
}

void on_message(j_common_ptr info, int level) {
  if (level < 0 && loses_data(info->err->msg_code)) on_error(info);
}

struct Decoder {
  jpeg_decompress_struct info{};
  Handler handler{};
  Decoder() {
    info.err = jpeg_std_error(&handler.base);
    handler.base.error_exit = on_error;
    handler.base.emit_message = on_message;
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { jpeg_destroy_decompress(&info); }
};

// The functions below may jump; they hold no C++ objects.
bool start(Decoder& decoder, const unsigned char* bytes, size_t count) {
  if (setjmp(decoder.handler.jump) != 0) return false;
  jpeg_create_decompress(&decoder.info);
  jpeg_mem_src(&decoder.info, bytes, static_cast<unsigned long>(count));
  jpeg_read_header(&decoder.info, TRUE);
  const int parts = decoder.info.num_components;
  decoder.info.out_color_space = parts == 1 ? JCS_GRAYSCALE : parts == 4 ? JCS_CMYK : JCS_RGB;
  return true;
}

bool begin_rows(Decoder& decoder) {
  if (setjmp(decoder.handler.jump) != 0) return false;
  jpeg_start_decompress(&decoder.info);
  return true;
}

bool read_rows(Decoder& decoder, unsigned char* pixels, size_t row_bytes) {
  if (setjmp(decoder.handler.jump) != 0) return false;
  while (decoder.info.output_scanline < decoder.info.output_height) {
    JSAMPROW row = pixels + decoder.info.output_scanline * row_bytes;
    jpeg_read_scanlines(&decoder.info, &row, 1);
  }
  jpeg_finish_decompress(&decoder.info);
  return true;
}

// Adobe's programs store CMYK inverted, and mark it.
std::vector<uint8_t> cmyk_to_rgb(const std::vector<uint8_t>& cmyk, bool inverted) {
  std::vector<uint8_t> rgb(cmyk.size() / 4 * 3);
  const auto light = [&](uint8_t ink) { return inverted ? unsigned{ink} : 255U - ink; };
  for (size_t i = 0; i < cmyk.size() / 4; ++i)
    for (size_t c = 0; c < 3; ++c)
      rgb[3 * i + c] =
          static_cast<uint8_t>((light(cmyk[4 * i + c]) * light(cmyk[4 * i + 3]) + 127) / 255);
  return rgb;
}

}  // namespace

Image decode_jpeg(std::string_view bytes, const std::string& path) {
  Decoder decoder;
  const auto check = [&](bool ok) {
    require<ConfigError>(ok, "{}: damaged JPEG ({}); replace the image", path,
                         decoder.handler.message);
  };
  check(start(decoder, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
  require_pixels(decoder.info.image_height, decoder.info.image_width, path);
  check(begin_rows(decoder));
  Image image;
  image.height = decoder.info.output_height;
  image.width = decoder.info.output_width;
  image.channels = decoder.info.output_components;
  const size_t row_bytes = static_cast<size_t>(image.width * image.channels);
  image.pixels.resize(static_cast<size_t>(image.height) * row_bytes);
  check(read_rows(decoder, image.pixels.data(), row_bytes));
  if (image.channels == 4) {
    image.pixels = cmyk_to_rgb(image.pixels, decoder.info.saw_Adobe_marker != 0);
    image.channels = 3;
  }
  return image;
}

}  // namespace veomni
