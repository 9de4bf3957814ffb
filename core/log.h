#pragma once
// Lines for people on standard error, by level. Whole lines, one write each, so ranks do not mix
// within a line.

#include <fmt/format.h>

#include <string>
#include <utility>

namespace veomni {

enum class LogLevel { debug, info, warning, error, off };

/// Lines below `level` are dropped; the process starts with LogLevel::info. Thread-safe.
void set_log_level(LogLevel level);
LogLevel log_level();

/// Writes `warning: <line>` (info has no prefix). Thread-safe, never throws.
void write_log(LogLevel level, const std::string& line);

template <class... Args>
void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (level >= log_level()) write_log(level, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace veomni
