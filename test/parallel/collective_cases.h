#pragma once
// One list of checks for every communicator: run by thread ranks and, under mpirun, by MPI ranks. A
// check returns what is wrong ("" when nothing is), so that assertions stay on the main thread.

#include <functional>
#include <string>
#include <vector>

#include "core/communicator.h"

namespace veomni::test {

struct CollectiveCase {
  std::string name;
  std::function<std::string(Communicator&)> run;
};
const std::vector<CollectiveCase>& collective_cases();

}  // namespace veomni::test
