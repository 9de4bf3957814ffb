#include "modalities/decoder.h"
#include "modalities/encoder.h"
#include "modalities/head.h"

namespace veomni {

EncoderRegistry& encoders() {
  static EncoderRegistry registry("encoder");
  return registry;
}

DecoderRegistry& decoders() {
  static DecoderRegistry registry("decoder");
  return registry;
}

HeadRegistry& heads() {
  static HeadRegistry registry("head");
  return registry;
}

}  // namespace veomni
