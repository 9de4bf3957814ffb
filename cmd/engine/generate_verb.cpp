#include <cstdio>

#include "cmd/engine/request.h"
#include "cmd/engine/run_directory.h"
#include "cmd/engine/session.h"
#include "core/error.h"
#include "core/train/generate.h"
#include "core/train/snapshot.h"

namespace veomni {

int run_generate(const Request& request, MpiSession& mpi) {
  Session session(mpi);
  Trained trained;
  std::unique_ptr<Checkpoint> checkpoint;
  session.together([&] {
    trained =
        find_trained(request.target, request.overrides, request.options.value("checkpoint", ""));
    checkpoint = std::make_unique<Checkpoint>(trained.checkpoint);
    require<ConfigError>(!trained.recipe.decoders.empty(),
                         "{}: has no text decoder, so it generates no text", request.target);
  });
  session.build(trained.recipe, checkpoint->state().at("data"));
  session.together([&] { load_snapshot(*checkpoint, session.model(), nullptr); });
  GenerateSettings settings;
  settings.tokens = request.options.value("tokens", settings.tokens);
  settings.temperature = request.options.value("temperature", settings.temperature);
  settings.top_k = request.options.value("top_k", settings.top_k);
  settings.seed = request.options.value("seed", settings.seed);
  for (const auto& source : trained.recipe.sources) {
    settings.context = std::max(settings.context, source.keys.value("sample_tokens", int64_t{0}));
  }
  const auto prompt = request.options.value("prompt", std::string("\n"));
  const bool json = request.options.value("json", false), shows = session.rank() == 0;
  const auto stream = [&](const std::string& piece) {
    if (json || !shows) return;
    std::fputs(piece.c_str(), stdout);
    std::fflush(stdout);
  };
  session.together([&] {
    if (shows && !json) std::fputs(prompt.c_str(), stdout);
    const auto text =
        generate_text(session.model(), *session.data().tokenizer(), prompt, settings, stream);
    if (!shows) return;
    if (json) std::fputs((Json{{"prompt", prompt}, {"text", text}}.dump()).c_str(), stdout);
    std::fputs("\n", stdout);
  });
  session.clear();
  return 0;
}

}  // namespace veomni
