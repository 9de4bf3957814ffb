// The audio encoder's input, prepared on the host: sound to log-mel spectrograms. No LibTorch.
#include <algorithm>

#include "core/data/preprocessor.h"
#include "core/data/sound.h"
#include "core/error.h"
#include "modalities/encoders/audio_spec.h"

namespace veomni {
namespace {

class AudioPreprocessor : public Preprocessor {
 public:
  explicit AudioPreprocessor(const PartConfig& config)
      : mel_bins_(config.keys.at("num_mel_bins").get<int64_t>()),
        positions_(config.keys.at("max_source_positions").get<int64_t>()),
        pooled_(config.keys.at("tokens") == "pooled") {}

  PartInput prepare(const Record& record, const SegmentConfig& segment,
                    uint64_t /*seed*/) const override {
    const Value* value = record.find(segment.field);
    const auto* sound = value != nullptr ? std::get_if<Sound>(value) : nullptr;
    require<ConfigError>(sound != nullptr,
                         "{}: holds no sound; name a column listed in the source's \"audio\"",
                         segment.field);
    require<ConfigError>(!sound->samples.empty(), "{}: the sound is empty; leave the record out",
                         segment.field);
    return windows(resample(*sound, kSpeechRate));
  }

  PartInput dummy() const override { return windows({kSpeechRate, {0.0F}}); }

 private:
  PartInput windows(const Sound& sound) const {
    const int64_t frames = 2 * positions_, length = frames * kSpeechHop;
    const auto total = static_cast<int64_t>(sound.samples.size());
    PartInput input;
    std::vector<float> features;
    std::vector<int64_t> counts;
    for (int64_t start = 0; start < total; start += length) {
      const int64_t count = std::min(length, total - start);
      const auto mel = log_mel(sound.samples.data() + start, count, mel_bins_, frames);
      features.insert(features.end(), mel.begin(), mel.end());
      counts.push_back((count + 2 * kSpeechHop - 1) / (2 * kSpeechHop));
      input.token_count += pooled_ ? 1 : counts.back();
    }
    const auto made = static_cast<int64_t>(counts.size());
    input.arrays.push_back({{made, mel_bins_, frames}, std::move(features)});
    input.arrays.push_back({{made}, std::move(counts)});
    return input;
  }

  const int64_t mel_bins_, positions_;
  const bool pooled_;
};

}  // namespace

std::unique_ptr<Preprocessor> make_audio_preprocessor(const PartConfig& config) {
  return std::make_unique<AudioPreprocessor>(config);
}

}  // namespace veomni
