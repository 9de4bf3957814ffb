// Sounds as encoders read them, against the programs whose results they must match: torchaudio 2.11
// (functional.resample), transformers 5.23 (WhisperFeatureExtractor's numpy path). The inputs are formulas, so that both
// sides can make them.
#include <cmath>
#include <cstring>
#include <numbers>

#include "core/data/sound.h"
#include "core/data/source.h"
#include "data_test_tools.h"
#include "media_test_tools.h"
#include "modalities/specs.h"
#include "support/made_files.h"

namespace veomni::data_test {
namespace {

Sound chirp(int64_t samples, int64_t rate) {
  Sound sound{rate, {}};
  for (int64_t i = 0; i < samples; ++i) {
    const double t = static_cast<double>(i) / static_cast<double>(rate);
    sound.samples.push_back(
        static_cast<float>(0.5 * std::sin(2 * std::numbers::pi * (200 * t + 1500 * t * t))));
  }
  return sound;
}

template <class T>
std::string wav(int code, int channels, const std::vector<T>& samples) {
  const std::string data(reinterpret_cast<const char*>(samples.data()), samples.size() * sizeof(T));
  return made::wave(code, channels, 8 * sizeof(T), data);
}

}  // namespace

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
