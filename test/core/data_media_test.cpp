// Images and sounds as encoders read them, against the programs whose results they must match: Pillow 13.0
// (Image.resize), torchaudio 2.11 (functional.resample), transformers 5.23 (WhisperFeatureExtractor's numpy path,
// SiglipImageProcessorPil, CLIPImageProcessorPil, Qwen2VLImageProcessorPil). The inputs are formulas, so that both sides can make them.
#include <cmath>
#include <cstring>
#include <numbers>

#include "core/data/grid_positions.h"
#include "core/data/resize.h"
#include "core/data/sound.h"
#include "core/data/source.h"
#include "core/recipe/recipe.h"
#include "data_test_tools.h"
#include "modalities/specs.h"
#include "support/made_files.h"

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

Sound chirp(int64_t samples, int64_t rate) {
  Sound sound{rate, {}};
  for (int64_t i = 0; i < samples; ++i) {
    const double t = static_cast<double>(i) / static_cast<double>(rate);
    sound.samples.push_back(
        static_cast<float>(0.5 * std::sin(2 * std::numbers::pi * (200 * t + 1500 * t * t))));
  }
  return sound;
}

struct Expected {
  int64_t row, column;
  double value;
};

/// The preprocessor of an encoder with these keys and the defaults of the others.
std::unique_ptr<Preprocessor> preprocessor(const PartSpec& spec, Json keys) {
  for (const Key& key : spec.keys)
    if (!keys.contains(key.name) && !key.default_value.is_null())
      keys[key.name] = key.default_value;
  return spec.make_preprocessor({"part", spec.type, keys}, Json::object());
}

Record record_of(Value value) {
  Record made;
  made.names = std::make_shared<const std::vector<std::string>>(std::vector<std::string>{"field"});
  made.values.push_back(std::move(value));
  return made;
}

PartInput prepared(const PartSpec& spec, const Json& keys, Value value) {
  return preprocessor(spec, keys)
      ->prepare(record_of(std::move(value)), segment("part", "field"), 0);
}

void check_values(const HostArray& array, const std::vector<Expected>& expected) {
  const auto& values = std::get<std::vector<float>>(array.data);
  const int64_t columns = static_cast<int64_t>(values.size()) / array.shape[0];
  for (const auto& [row, column, value] : expected) {
    INFO(row << ", " << column);
    CHECK(std::abs(values.at(static_cast<size_t>(row * columns + column)) - value) < 2e-6);
  }
}

template <class T>
std::string wav(int code, int channels, const std::vector<T>& samples) {
  const std::string data(reinterpret_cast<const char*>(samples.data()), samples.size() * sizeof(T));
  return made::wave(code, channels, 8 * sizeof(T), data);
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

TEST_CASE("media: resampling is torchaudio's", "[data][media]") {
  const auto check = [](const Sound& sound,
                        const std::vector<std::pair<size_t, double>>& expected) {
    const Sound at16k = resample(sound, 16000);
    CHECK(at16k.rate == 16000);
    REQUIRE(at16k.samples.size() == 1600);
    for (const auto& [i, value] : expected) CHECK(std::abs(at16k.samples[i] - value) < 4e-6);
  };
  check(chirp(4410, 44100), {{0, 0.0036968039},
                             {1, 0.038757559},
                             {100, 0.46668553},
                             {777, 0.50015664},
                             {1599, -0.096256182}});
  check(chirp(800, 8000), {{0, 0.00021568945},
                           {5, 0.19058743},
                           {100, 0.46649367},
                           {777, 0.49996206},
                           {1599, -0.080279648}});
}

TEST_CASE("media: log-mel features are WhisperFeatureExtractor's, with padding and without",
          "[data][media]") {
  const auto check = [](int64_t samples, int64_t bins, const std::vector<Expected>& expected) {
    const Sound sound = chirp(samples, 16000);
    HostArray array{{bins, 300}, log_mel(sound.samples.data(), samples, bins, 300)};
    check_values(array, expected);
  };
  check(16000, 80,
        {{0, 0, 1.165871},
         {3, 1, 1.010013},
         {10, 50, -0.5530481},
         {79, 99, -0.2800155},
         {40, 100, 0.4581969},
         {79, 299, -0.5530481}});
  check(48000, 80,
        {{0, 0, 1.165871},
         {40, 98, -0.5530481},
         {78, 298, -0.3724362},
         {40, 299, -0.3517637},
         {79, 299, 0.2503249}});
  check(16000, 128,
        {{3, 1, 0.572901}, {127, 99, -0.2807627}, {64, 100, 0.4490431}, {7, 150, -0.5039783}});
  check(48000, 128, {{64, 299, -0.3598657}, {127, 299, 0.2393128}});
}

TEST_CASE(
    "media: a sound of any length is cut into windows, and only outputs that hold sound count",
    "[data][media]") {
  const Json keys{{"max_source_positions", 50}};  // windows of one second
  const auto input = prepared(audio_spec(), keys, chirp(20001, 8000));
  CHECK(input.arrays[0].shape == std::vector<int64_t>{3, 80, 100});
  CHECK(std::get<std::vector<int64_t>>(input.arrays[1].data) == std::vector<int64_t>{50, 50, 26});
  CHECK(input.token_count == 126);
  Json pooled = keys;
  pooled["tokens"] = "pooled";
  CHECK(prepared(audio_spec(), pooled, chirp(20001, 8000)).token_count == 3);
  CHECK_THROWS_WITH(prepared(audio_spec(), keys, Sound{8000, {}}),
                    "field: the sound is empty; leave the record out");
  CHECK_THROWS_WITH(prepared(audio_spec(), keys, std::string("a.wav")),
                    Catch::Contains("field: holds no sound"));
}

TEST_CASE("media: WAV files of every width; channels are averaged", "[data][media]") {
  const auto samples = [](const std::string& bytes) { return decode_wav(bytes, "a.wav").samples; };
  using Floats = std::vector<float>;
  CHECK(decode_wav(wav<int16_t>(1, 1, {1}), "a.wav").rate == 8000);
  CHECK(samples(wav<uint8_t>(1, 1, {0, 128, 192})) == Floats{-1, 0, 0.5F});
  CHECK(samples(wav<int16_t>(1, 1, {-32768, 0, 16384})) == Floats{-1, 0, 0.5F});
  CHECK(samples(wav<int32_t>(1, 1, {INT32_MIN, 1 << 30})) == Floats{-1, 0.5F});
  CHECK(samples(wav<float>(3, 1, {-0.25F, 1.5F})) == Floats{-0.25F, 1.5F});
  CHECK(samples(wav<double>(3, 1, {0.125})) == Floats{0.125F});
  CHECK(samples(wav<int16_t>(1, 2, {16384, 0, 8192, 8192, 77})) == Floats{0.25F, 0.25F});
  std::string wide = wav<int8_t>(1, 1, {0, 0, 0x40, 0, 0, -0x80});
  wide[34] = 24;
  CHECK(samples(wide) == Floats{0.5F, -1});
  std::string streamed = wav<int16_t>(1, 1, {16384});
  std::memset(streamed.data() + streamed.size() - 6, 0xFF, 4);  // a pipe: the length is not known
  CHECK(samples(streamed) == Floats{0.5F});
}

TEST_CASE("media: damaged WAV files are refused by name", "[data][media]") {
  const auto refused = [](std::string bytes) {
    try {
      decode_wav(bytes, "a.wav");
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const std::string good = wav<int16_t>(1, 1, {1, 2, 3});
  CHECK(refused("OggS") ==
        "a.wav: is no WAV file; convert it, for example with ffmpeg -i IN OUT.wav");
  CHECK(refused(good.substr(0, good.size() - 1)) ==
        "a.wav: chunk 'data' at byte 46 claims 6 bytes, but 5 follow; the file is cut");
  CHECK(refused(good.substr(0, 46)) == "a.wav: has no data chunk; the file is cut");
  CHECK(refused(wav<int16_t>(2, 1, {1})) ==
        "a.wav: WAVE format 2 of 16 bits is not supported; convert it to 16-bit PCM");
  CHECK(refused(wav<int16_t>(1, 0, {1})) ==
        "a.wav: claims 0 channels at 8000 Hz; give at least one, at 1000 to 192000 Hz");
  // At 1 Hz, 16,000 samples would be made of each one.
  CHECK(refused(made::wave(1, 1, 16, "ab", 1)) ==
        "a.wav: claims 1 channels at 1 Hz; give at least one, at 1000 to 192000 Hz");
  CHECK(refused("RIFF????WAVE\n\xff\x7fz" + std::string(4, '\x7f')) ==
        "a.wav: chunk ' ? z' at byte 12 claims 2139062143 bytes, but 0 follow; the file is cut");
  CHECK(refused(wav<float>(3, 1, {NAN})) == "a.wav: sample 0 is not a finite number");
  for (size_t size = 0; size < good.size(); ++size)
    CHECK(refused(good.substr(0, size)) != "accepted");
}

TEST_CASE("media: what a manifest names and does not exist is told in one line", "[data][media]") {
  const TempDir dir;
  const auto file = dir.write("media.jsonl", R"({"image": "b\n\u001b[31m.png", "audio": null})");
  const auto opened = open_source(source("media", "media", file), {"image", "audio"});
  Record record;
  CHECK(error_of([&] { opened->read(0, record); }) ==
        file + ":1: names the image " + dir.path("b  [31m.png") + ", which does not exist");
}

}  // namespace veomni::data_test
