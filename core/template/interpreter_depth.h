#pragma once
// Counts how deep an interpreter is, and remembers which node runs.

#include <exception>

#include "core/template/interpreter.h"

namespace veomni::jinja {

class Interpreter::Depth {
 public:
  Depth(Interpreter& run, const Node& node) : run_(run), outer_(run.place_) {
    run_.place_ = &node;
    if (run_.depth_ >= kRunDepth)
      problem("runs deeper than {} levels; does a macro call itself?", kRunDepth);
    run_.heap_.work(8);
    ++run_.depth_;
  }
  Depth(const Depth&) = delete;
  Depth& operator=(const Depth&) = delete;
  ~Depth() {
    --run_.depth_;
    if (std::uncaught_exceptions() == 0) run_.place_ = outer_;  // else: where it went wrong
  }

 private:
  Interpreter& run_;
  const Node* outer_;
};

}  // namespace veomni::jinja
