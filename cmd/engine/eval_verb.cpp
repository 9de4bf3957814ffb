#include <cstdio>

#include "cmd/engine/request.h"
#include "cmd/engine/run_directory.h"
#include "cmd/engine/session.h"
#include "core/report/terminal.h"
#include "core/train/evaluator.h"
#include "core/train/snapshot.h"

namespace veomni {

int run_eval(const Request& request, MpiSession& mpi) {
  Session session(mpi);
  Trained trained;
  std::unique_ptr<Checkpoint> checkpoint;
  session.together([&] {
    trained =
        find_trained(request.target, request.overrides, request.options.value("checkpoint", ""));
    checkpoint = std::make_unique<Checkpoint>(trained.checkpoint);
  });
  session.build(trained.recipe, checkpoint->state().at("data"));
  session.together([&] { load_snapshot(*checkpoint, session.model(), nullptr); });
  Evaluator evaluator(trained.recipe, session.data(), session.model(), session.mesh().data());
  const Json result = {{"step", checkpoint->state().at("step")}, {"eval", evaluator.run(0)}};
  if (session.rank() == 0) {
    const auto text =
        request.options.value("json", false) ? result.dump() + "\n" : evaluation_table(result);
    std::fputs(text.c_str(), stdout);
  }
  session.clear();
  return 0;
}

}  // namespace veomni
