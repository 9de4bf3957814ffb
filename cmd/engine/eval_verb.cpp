#include <cstdio>

#include "cmd/engine/request.h"
#include "cmd/engine/session.h"
#include "cmd/engine/trained.h"
#include "core/report/terminal.h"
#include "core/train/evaluator.h"

namespace veomni {

int run_eval(const Request& request, MpiSession& mpi) {
  Session session(mpi);
  const int64_t step = load_trained(session, request);
  Evaluator evaluator(session.recipe(), session.data(), session.model(), session.mesh().data());
  const Json result = {{"step", step}, {"eval", evaluator.run(0)}};
  if (session.rank() == 0) {
    const auto text =
        request.options.value("json", false) ? result.dump() : evaluation_table(result);
    std::fputs((text + "\n").c_str(), stdout);
  }
  session.clear();
  return 0;
}

}  // namespace veomni
