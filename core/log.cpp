#include "core/log.h"

#include <unistd.h>

#include <atomic>

namespace veomni {
namespace {
std::atomic<LogLevel> current_level{LogLevel::info};

const char* prefix(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug: ";
    case LogLevel::warning:
      return "warning: ";
    case LogLevel::error:
      return "error: ";
    default:
      return "";
  }
}
}  // namespace

void set_log_level(LogLevel level) { current_level = level; }
LogLevel log_level() { return current_level; }

void write_log(LogLevel level, const std::string& line) {
  if (level < log_level() || level == LogLevel::off) return;
  const std::string text = prefix(level) + line + "\n";
  // A log line that cannot be written has nowhere to be reported.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace veomni
