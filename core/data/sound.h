#pragma once
// Sound: WAV files to samples, other sampling rates, and the spectrogram that speech encoders read. No LibTorch.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/data/record.h"

namespace veomni {

/// Decodes a RIFF WAVE file: 8-, 16-, 24- and 32-bit integers, 32- and 64-bit floats, any number of
/// channels, which are averaged. Integers are divided by 2^(bits - 1), as libsndfile and librosa do.
/// Throws ConfigError `path: what; what to do` on other formats and on damaged or cut files.
Sound decode_wav(std::string_view bytes, const std::string& path);

/// Files of other rates are refused: at 1 Hz a small file would become hours of sound.
inline constexpr int64_t kMinSampleRate = 1000, kMaxSampleRate = 192000;

/// The same sound at another rate: a sinc filter of 6 zero crossings a side under a Hann window, cut off
/// at 0.99 of the lower Nyquist frequency (torchaudio.functional.resample with its defaults; Smith,
/// "Digital Audio Resampling", https://ccrma.stanford.edu/~jos/resample). ⌈samples · rate / sound.rate⌉ samples.
Sound resample(const Sound& sound, int64_t rate);

/// Whisper's input (Radford et al. 2022, arXiv:2212.04356): the log-mel spectrogram of 16 kHz sound.
/// Hann windows of 400 samples every 160, power, Slaney's mel filters from 0 to 8 kHz, log10 of at least
/// 1e-10, nothing below the maximum less 8, then (x + 4) / 4; as WhisperFeatureExtractor with padding to
/// `frames` frames.
///
/// samples: at most 160 · frames of them, silence follows. Returns [mel_bins, frames], row-major.
std::vector<float> log_mel(const float* samples, int64_t count, int64_t mel_bins, int64_t frames);

inline constexpr int64_t kSpeechRate = 16000, kSpeechHop = 160;

}  // namespace veomni
