#pragma once
// What generate starts with: a model of any of the forms it takes, ready on all ranks.

#include <memory>

#include "cmd/engine/request.h"
#include "cmd/engine/session.h"
#include "core/generate/prompts.h"
#include "core/hugging_face/generation_config.h"

namespace veomni {

struct GenerationModel {
  std::unique_ptr<Tokenizer> tokenizer;  ///< null: a directory without one
  GenerationDefaults defaults;
  std::string tokenizer_path;   ///< its directory or file; empty where it is none
  bool special_tokens = false;  ///< prompts get those the tokenizer puts around a text
  int64_t vocab_size = 0;       ///< ids the model has
};

/// request.target: a directory in Hugging Face's form, a run's or a checkpoint's directory, or a recipe
/// (a checkpoint of its output); option `checkpoint` as load_trained's. Builds the model in `session`
/// without opening any data, and loads its weights. Collective; errors leave on all ranks as
/// Session::together's.
GenerationModel load_generation_model(Session& session, const Request& request);

}  // namespace veomni
