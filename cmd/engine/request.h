#pragma once
// What the front asks of the engine, as JSON text: the libraries share no C++ types across dlopen.

#include <string>
#include <vector>

#include "core/json.h"

namespace veomni {

struct Request {
  std::string verb;                    ///< train | eval | generate
  std::string target;                  ///< recipe file, or a checkpoint's directory
  std::vector<std::string> overrides;  ///< key=value
  Json options = Json::object();       ///< of the verb, by the long names of its flags
};

class MpiSession;
int run_train(const Request& request, MpiSession& mpi);
int run_eval(const Request& request, MpiSession& mpi);
int run_generate(const Request& request, MpiSession& mpi);

}  // namespace veomni
