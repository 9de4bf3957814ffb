// Images as encoders read them, against the programs whose results they must match: Pillow 13.0 (Image.resize) and
// transformers 5.23 (SiglipImageProcessorPil, CLIPImageProcessorPil, Qwen2VLImageProcessorPil). The inputs are formulas,
// so that both sides can make them.
#include <cmath>

#include "core/data/grid_positions.h"
#include "core/data/resize.h"
#include "data_test_tools.h"
#include "media_test_tools.h"
#include "modalities/specs.h"

namespace veomni::data_test {
namespace {

Image pattern(int64_t height, int64_t width, int64_t channels) {
  Image image{height, width, channels, {}};
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < channels; ++c)
        image.pixels.push_back(static_cast<uint8_t>(x * 7 + y * 13 + c * 50 + x * y));
  return image;
}

/// Slopes, edges and a fine texture, as photographs have them.
Image photograph(int64_t height, int64_t width) {
  Image image{height, width, 3, {}};
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < 3; ++c)
        image.pixels.push_back(
            static_cast<uint8_t>(x * x / 7 + y * 5 + c * 40 + (x * 31 + y * 17) % 23));
  return image;
}

}  // namespace

TEST_CASE("media: bicubic resizing is Pillow's, bit for bit", "[data][media]") {
  const auto sum = [](const Image& image) {
    uint32_t total = 0;
    for (size_t i = 0; i < image.pixels.size(); ++i)
      total += static_cast<uint32_t>(i + 1) * image.pixels[i];
    return total;
  };
  struct Case {
    int64_t channels, height, width;
    uint32_t sum;
  };
  for (const auto& c :
       {Case{1, 11, 9, 652313}, Case{1, 40, 31, 101356836}, Case{1, 17, 50, 47655166},
        Case{1, 5, 23, 877610}, Case{3, 11, 9, 5677317}, Case{3, 40, 31, 888248123},
        Case{3, 17, 50, 417367017}, Case{3, 5, 23, 7651830}}) {
    INFO(c.channels << " channels to " << c.height << " x " << c.width);
    CHECK(sum(resize_bicubic(pattern(17, 23, c.channels), c.height, c.width)) == c.sum);
  }
}

TEST_CASE("media: SigLIP's patches are those of its image processor", "[data][media]") {
  const auto input =
      prepared(siglip_spec(), {{"image_size", 24}, {"patch_size", 6}}, pattern(37, 53, 3));
  CHECK(input.token_count == 16);
  CHECK(input.arrays[0].shape == std::vector<int64_t>{16, 108});
  check_values(input.arrays[0], {{0, 0, -0.9294118},
                                 {0, 107, -0.04313725},
                                 {1, 0, -0.1764706},
                                 {5, 40, -0.7254902},
                                 {11, 77, 0.05098045},
                                 {15, 0, 0.05098045},
                                 {15, 107, 0.5372549}});
  // 26 pixels hold 4 patches of 6; the last two rows and columns are left out, as a convolution does.
  const auto odd =
      prepared(siglip_spec(), {{"image_size", 26}, {"patch_size", 6}}, pattern(26, 26, 3));
  CHECK(odd.token_count == 16);
}

TEST_CASE("media: CLIP's patches are those of its image processor, of either orientation",
          "[data][media]") {
  const Json keys{{"image_size", 24}, {"patch_size", 6}};
  const double mean[] = {0.48145466, 0.4578275, 0.40821073},
               deviation[] = {0.26862954, 0.26130258, 0.27577711};
  // The bytes before normalisation, each times its place: equal sums mean equal pixels.
  const auto sum = [&](const HostArray& patches) {
    uint32_t total = 0, place = 0;
    for (const float value : std::get<std::vector<float>>(patches.data)) {
      const size_t channel = place / 36 % 3;
      const double byte = (value * deviation[channel] + mean[channel]) * 255;
      total += ++place * static_cast<uint32_t>(std::lround(byte));
    }
    return total;
  };
  struct Case {
    int64_t height, width;
    uint32_t sum;
  };
  for (const auto& c : {Case{37, 53, 197175287}, Case{60, 41, 186031702}, Case{41, 60, 191853910},
                        Case{11, 17, 144193851}, Case{24, 31, 233580543}, Case{31, 24, 241156469},
                        Case{24, 24, 227022386}, Case{9, 200, 187391912}}) {
    INFO(c.height << " x " << c.width);
    const auto input = prepared(clip_spec(), keys, photograph(c.height, c.width));
    CHECK(input.token_count == 16);
    CHECK(sum(input.arrays[0]) == c.sum);
  }
  check_values(prepared(clip_spec(), keys, photograph(37, 53)).arrays[0],
               {{0, 0, -1.4419}, {5, 40, 0.9042779}, {11, 77, 1.392234}, {15, 107, -0.9825174}});
  check_values(prepared(clip_spec(), keys, photograph(60, 41)).arrays[0],
               {{0, 0, -0.9893491}, {5, 40, 1.129394}, {11, 77, 1.392234}, {15, 107, -0.8971971}});
  Json stretched = keys;  // "size" with a height and a width
  stretched["resize"] = "stretch";
  CHECK(sum(prepared(clip_spec(), stretched, photograph(41, 60)).arrays[0]) == 195087341);
}

TEST_CASE("media: Qwen2.5-VL's sizes and patches are those of its image processor",
          "[data][media]") {
  const auto check = [](const Image& image, double least, double most,
                        const std::vector<int64_t>& grid, const std::vector<Expected>& expected) {
    const auto input = prepared(
        qwen2_5_vl_spec(), {{"patch_size", 4}, {"min_pixels", least}, {"max_pixels", most}}, image);
    CHECK(std::get<std::vector<int64_t>>(input.arrays[1].data) == grid);
    CHECK(input.arrays[0].shape == std::vector<int64_t>{grid[1] * grid[2], 96});
    CHECK(input.token_count == grid[1] * grid[2] / 4);
    check_values(input.arrays[0], expected);
  };
  check(pattern(37, 53, 3), 256, 1600, {1, 8, 10},
        {{0, 0, -1.763066},
         {0, 95, 1.221593},
         {2, 17, -0.6389868},
         {40, 77, 0.9940718},
         {79, 95, 1.790395}});
  check(pattern(20, 90, 3), 4096, 16384, {1, 8, 34},
        {{0, 0, -1.792263}, {1, 0, -1.558688}, {136, 77, -0.9540772}, {271, 95, -0.1719737}});
  check(pattern(9, 10, 3), 1, 1 << 20, {1, 2, 2},
        {{0, 0, -1.763066}, {1, 40, 0.1538894}, {3, 95, -0.3568345}});
  CHECK_THROWS_WITH(prepared(qwen2_5_vl_spec(), Json::object(), pattern(1, 201, 3)),
                    Catch::Contains("field: an image of 1 x 201 pixels is too narrow"));
}

TEST_CASE("media: positions of a pack with grids: rows and columns, then on from the largest",
          "[data][media]") {
  Pack pack;
  pack.ids.resize(13);
  pack.cu_seqlens = {0, 10, 13};
  const auto input = std::make_shared<PartInput>();
  input->token_count = 6;
  input->grids = {{1, 2, 3}};
  pack.pieces.push_back({0, 2, input});
  CHECK(grid_positions(pack) == std::vector<int64_t>{0, 1, 2, 2, 2, 2, 2, 2, 5, 6, 0, 1, 2,  //
                                                     0, 1, 2, 2, 2, 3, 3, 3, 5, 6, 0, 1, 2,  //
                                                     0, 1, 2, 3, 4, 2, 3, 4, 5, 6, 0, 1, 2});
}

}  // namespace veomni::data_test
