#include "modalities/decoders/text.h"

#include <ATen/ATen.h>

#include "kernels/cross_entropy.h"
#include "kernels/linear.h"

namespace veomni {
namespace {

class Text : public Decoder {
 public:
  DecoderLoss lm_head(const DecoderInput& input) override {
    DecoderLoss loss;
    loss.scaled =
        kernels::linear_cross_entropy(input.hidden, input.token_weight, input.labels, input.weights,
                                      input.scale, &loss.losses, &loss.correct);
    return loss;
  }

  at::Tensor lm_embed(const at::Tensor& hidden, const at::Tensor& token_weight) override {
    return kernels::linear(hidden, token_weight, {}).to(at::kFloat);
  }
};

}  // namespace

std::unique_ptr<Decoder> make_text(const PartConfig&, BuildContext&) {
  return std::make_unique<Text>();
}

}  // namespace veomni
