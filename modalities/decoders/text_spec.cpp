#include "modalities/specs.h"

namespace veomni {

PartSpec text_spec() {
  PartSpec spec;
  spec.type = "text";
  spec.doc = "predicts the next token of text segments with \"learn\": true";
  spec.metrics = {"loss", "perplexity", "accuracy"};
  spec.describe = [](const PartConfig&, const BaseSizes&) { return std::vector<UnitSpec>{}; };
  return spec;
}

}  // namespace veomni
