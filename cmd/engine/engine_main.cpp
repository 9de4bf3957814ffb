// The one entry point of libveomni_engine.so.
#include <cstdio>

#include "cmd/engine/request.h"
#include "cmd/engine/session.h"
#include "core/error.h"
#include "core/exit_status.h"
#include "kernels/cpu/allocator.h"
#include "modalities/all.h"
#include "parallel/comm/mpi.h"

namespace veomni {
namespace {

Request parse_request(const char* text) {
  const auto json = Json::parse(text);
  Request request;
  request.verb = json.at("verb");
  request.target = json.at("recipe");
  request.overrides = json.at("overrides").get<std::vector<std::string>>();
  request.options = json.at("options");
  return request;
}

int run_verb(const Request& request, MpiSession& mpi) {
  if (request.verb == "train") return run_train(request, mpi);
  if (request.verb == "eval") return run_eval(request, mpi);
  if (request.verb == "generate") return run_generate(request, mpi);
  throw Error("engine: unknown verb '" + request.verb + "'");
}

/// An error on one rank alone: the others may wait for it in a collective, so the job ends here and now.
int end_job(MpiSession& mpi, const Failure& failure) {
  if (mpi.world().size() > 1) {
    // A rank whose peer failed first only echoes it: the first to report is the one that explains.
    if (report_exit_code(failure.code) && mpi.first_to_report()) {
      std::fprintf(stderr, "rank %d: %s\n", mpi.world().rank(), failure.message.c_str());
    }
    mpi.abort(failure.code);
  }
  std::fprintf(stderr, "%s\n", failure.message.c_str());
  report_exit_code(failure.code);
  return failure.code;
}

}  // namespace
}  // namespace veomni

extern "C" int veomni_engine_main(const char* request_json) {
  using namespace veomni;
  try {
    kernels::tune_allocator();
    register_parts();
    const auto request = parse_request(request_json);
    MpiSession mpi;
    int code = 1;
    try {
      code = run_verb(request, mpi);
      report_exit_code(code);
    } catch (const PrintedError& error) {
      code = error.code;
      report_exit_code(code);
    } catch (...) {
      code = end_job(mpi, current_failure());
    }
    mpi.close();
    return code;
  } catch (...) {
    const auto failure = current_failure();
    std::fprintf(stderr, "%s\n", failure.message.c_str());
    report_exit_code(failure.code);
    return failure.code;
  }
}
