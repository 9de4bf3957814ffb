#include <algorithm>
#include <cstdio>
#include <optional>

#include "cmd/engine/request.h"
#include "cmd/engine/session.h"
#include "cmd/engine/trained.h"
#include "core/error.h"
#include "core/report/terminal.h"
#include "core/train/evaluator.h"
#include "core/train/token_losses.h"

namespace veomni {
namespace {

bool learns_text(const SourceConfig& source) {
  return std::any_of(source.sample.begin(), source.sample.end(),
                     [](const SegmentConfig& segment) { return segment.learn; });
}

/// Errors before anything is computed.
void check_request(const Recipe& recipe, bool per_token) {
  bool held_back = false, text = false;
  for (const auto& source : recipe.sources) {
    held_back = held_back || source.eval.has_value();
    text = text || (source.eval.has_value() && learns_text(source));
  }
  require<ConfigError>(held_back, "eval: no source of {} has split.eval; add it to one",
                       recipe.name);
  require<ConfigError>(text || !per_token,
                       "--per-token: no source of {} with split.eval learns text; leave it out",
                       recipe.name);
}

}  // namespace

int run_eval(const Request& request, MpiSession& mpi) {
  Session session(mpi);
  const auto file = request.options.value("per-token", std::string());
  const int64_t step = load_trained(session, request);
  std::optional<TokenLosses> tokens;
  session.together([&] {
    check_request(session.recipe(), !file.empty());
    if (!file.empty())
      tokens.emplace(file, session.recipe(), session.mesh().data(),
                     session.mesh().sequence_host().rank() == 0);
  });
  auto& mesh = session.mesh();
  Evaluator evaluator(session.recipe(), session.data(), session.model(),
                      {mesh.world(), mesh.data(), mesh.sequence_host()});
  const Json result = {{"step", step}, {"eval", evaluator.run(0, tokens ? &*tokens : nullptr)}};
  session.together([&] {
    if (tokens) tokens->close();
  });
  if (session.rank() == 0) {
    const auto text =
        request.options.value("json", false) ? result.dump() : evaluation_table(result);
    std::fputs((text + "\n").c_str(), stdout);
  }
  session.clear();
  return 0;
}

}  // namespace veomni
