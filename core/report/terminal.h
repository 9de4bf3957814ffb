#pragma once
// What people see while a run goes on: a progress line that is redrawn, or lines every few seconds.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#include "core/json.h"

namespace veomni {

/// `step 120/300  loss 2.346  18.2k tokens/s  eta 12 s  text 2.310  label 0.520  lr 0.001  1.2 GB`
std::string progress_line(const Json& metrics, int64_t last_step, double eta_seconds);

/// One line for the source, one more for each of its heads; metrics in columns that line up.
std::string evaluation_table(const Json& evaluation);

/// Cuts text to `columns` code points.
std::string cut_to(const std::string& text, size_t columns);

class Terminal {
 public:
  using Clock = std::chrono::steady_clock;

  /// `out` is not owned. On a terminal the line is redrawn at most 10 times a second, else printed
  /// every 5 seconds.
  Terminal(FILE* out, int64_t last_step);
  void step(const Json& metrics);
  void line(const std::string& text);  ///< whole lines; the progress line makes room
  void finish();                       ///< leaves the last step's line standing

 private:
  void draw();
  FILE* out_;
  bool is_terminal_;
  bool drawn_ = false;    ///< a progress line stands without its line feed
  bool pending_ = false;  ///< the last step has not been shown yet
  int64_t last_step_, first_seen_ = -1;
  Clock::time_point start_{}, shown_{};
  Json last_;
};

}  // namespace veomni
