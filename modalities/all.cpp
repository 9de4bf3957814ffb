// One line a part. Compiled twice: into libveomni_base.so, which knows what parts are (specs), and into the engine,
// which also makes them.
#include "modalities/all.h"

#include "modalities/specs.h"

#ifdef VEOMNI_SPECS_ONLY

#include "modalities/base/block_spec.h"

#define PART(kind, name) specs().add(SpecRegistry::Kind::kind, name##_spec())
#define REGISTER register_specs
#define BASE() specs().set_base(describe_base)

#else

#include "modalities/decoders/text.h"
#include "modalities/encoders/audio.h"
#include "modalities/encoders/features.h"
#include "modalities/encoders/image.h"
#include "modalities/encoders/qwen2_5_vl.h"
#include "modalities/encoders/vision_transformer.h"
#include "modalities/heads/heads.h"

#define PART(kind, name) kind##s().add(#name, make_##name)
#define REGISTER register_parts
#define BASE() (void)0  // modalities/model.cpp makes it

#endif

namespace veomni {

void REGISTER() {
  BASE();
  PART(encoder, image);
  PART(encoder, siglip);
  PART(encoder, clip);
  PART(encoder, qwen2_5_vl);
  PART(encoder, audio);
  PART(encoder, features);
  PART(decoder, text);
  PART(head, classification);
  PART(head, binary);
  PART(head, regression);
  PART(head, revenue);
}

}  // namespace veomni
