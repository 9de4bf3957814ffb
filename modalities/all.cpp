// One line a part. Compiled twice: into libveomni_base.so, which knows what parts are (specs), and into the engine,
// which also makes them.
#include "modalities/all.h"

#include "modalities/specs.h"

#ifdef VEOMNI_SPECS_ONLY

#define PART(kind, name) specs().add(SpecRegistry::Kind::kind, name##_spec())
#define REGISTER register_specs

#else

#include "modalities/decoders/text.h"
#include "modalities/encoders/audio.h"
#include "modalities/encoders/features.h"
#include "modalities/encoders/image.h"
#include "modalities/encoders/qwen2_5_vl.h"
#include "modalities/encoders/siglip.h"
#include "modalities/heads/heads.h"

#define PART(kind, name) kind##s().add(#name, make_##name)
#define REGISTER register_parts

#endif

namespace veomni {

void REGISTER() {
  PART(encoder, image);
  PART(encoder, siglip);
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
