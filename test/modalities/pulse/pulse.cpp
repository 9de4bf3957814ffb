// The tensors: one FSDP unit, entered and left around its use.
#include "pulse/pulse.h"

#include <ATen/ATen.h>

#include "kernels/linear.h"

namespace veomni {
namespace {

class Pulse : public Encoder {
 public:
  Pulse(const PartConfig& config, BuildContext& context)
      : spec_(pulse_spec().describe(config, context.sizes)[0]), unit_(spec_.name, spec_.parameters, context.parallel) {}

  at::Tensor lm_encode(const EncoderInput& input, const Pass&) override {
    auto weights = unit_.enter();
    return weights.leave(kernels::linear(input.arrays[0].to(weights[0].options()), weights[0], weights[1]));
  }

  std::vector<Unit*> units() override { return {&unit_}; }

 private:
  UnitSpec spec_;
  Unit unit_;
};

}  // namespace

std::unique_ptr<Encoder> make_pulse(const PartConfig& config, BuildContext& context) {
  return std::make_unique<Pulse>(config, context);
}

}  // namespace veomni
