#include <cstdio>

#include "cmd/engine/request.h"
#include "cmd/engine/session.h"
#include "cmd/engine/trained.h"
#include "core/error.h"
#include "core/train/generate.h"

namespace veomni {

int run_generate(const Request& request, MpiSession& mpi) {
  Session session(mpi);
  load_trained(session, request);
  session.together([&] {
    require<ConfigError>(!session.recipe().decoders.empty(),
                         "{}: has no text decoder, so it generates no text; give a run of a recipe "
                         "with model.decoders.text",
                         request.target);
  });
  GenerateSettings settings;
  settings.tokens = request.options.value("tokens", settings.tokens);
  settings.temperature = request.options.value("temperature", settings.temperature);
  settings.top_k = request.options.value("top_k", settings.top_k);
  settings.seed = request.options.value("seed", settings.seed);
  settings.context = text_context(session.recipe());
  const auto prompt = request.options.value("prompt", std::string("\n"));
  const bool json = request.options.value("json", false), shows = session.rank() == 0;
  bool begun = false;  // the prompt is printed with the first piece: until then it may be refused
  const auto stream = [&](const std::string& piece) {
    if (json || !shows) return;
    std::fputs(((begun ? "" : prompt) + piece).c_str(), stdout);
    begun = true;
    std::fflush(stdout);
  };
  session.together([&] {
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
