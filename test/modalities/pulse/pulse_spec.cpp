// What the front must know: keys, parameters, and how a record's field becomes arrays. No LibTorch.
#include "core/error.h"
#include "core/data/preprocessor.h"
#include "pulse/pulse.h"

namespace veomni {
namespace {

class PulsePreprocessor : public Preprocessor {
 public:
  explicit PulsePreprocessor(int64_t frame) : frame_(frame) {}

  PartInput prepare(const Record& record, const SegmentConfig& segment, uint64_t) const override {
    const auto* value = record.find(segment.field);
    const auto* beats = value == nullptr ? nullptr : std::get_if<std::vector<int64_t>>(value);
    require<ConfigError>(beats != nullptr && !beats->empty(), "{}: not a list of whole numbers", segment.field);
    return frames({beats->begin(), beats->end()});
  }

  PartInput dummy() const override { return frames({0.0F}); }

 private:
  PartInput frames(std::vector<float> beats) const {
    const int64_t count = (static_cast<int64_t>(beats.size()) + frame_ - 1) / frame_;
    beats.resize(static_cast<size_t>(count * frame_));
    return {count, {HostArray{{count, frame_}, beats}}};
  }

  int64_t frame_;
};

}  // namespace

PartSpec pulse_spec() {
  PartSpec spec;
  spec.type = "pulse";
  spec.doc = "a list of whole numbers, one token a frame";
  spec.takes_field = true;
  spec.keys = {{.name = "frame", .type = Key::Type::integer, .doc = "numbers in a frame", .default_value = 4, .minimum = 1, .maximum = 4096}};
  spec.describe = [](const PartConfig& config, const BaseSizes& sizes) {
    const auto frame = config.keys.at("frame").get<int64_t>();
    const std::string name = "encoders." + config.name;
    return std::vector<UnitSpec>{{.name = name,
                                  .parameters = {{name + ".weight", {sizes.hidden_size, frame}, Init::normal(0.5)},
                                                 {name + ".bias", {sizes.hidden_size}, Init::zeros(), false}},
                                  .flops_per_token = 2.0 * static_cast<double>(frame * sizes.hidden_size)}};
  };
  spec.make_preprocessor = [](const PartConfig& config, const Json&) {
    return std::make_unique<PulsePreprocessor>(config.keys.at("frame").get<int64_t>());
  };
  return spec;
}

}  // namespace veomni
