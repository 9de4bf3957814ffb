#include "core/exit_status.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "core/error.h"

namespace veomni {

namespace {

int environment_number(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  if (text == nullptr) return otherwise;
  char* end = nullptr;
  const long number = std::strtol(text, &end, 10);
  return end != text && *end == '\0' ? static_cast<int>(number) : otherwise;
}

std::string read_all(int file) {
  std::string text;
  char buffer[4096];
  for (ssize_t bytes = 0; (bytes = read(file, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(bytes));
  }
  return text;
}

}  // namespace

int exit_code_of(const std::exception& error) {
  if (dynamic_cast<const ConfigError*>(&error)) return kUserError;
  if (dynamic_cast<const CommError*>(&error)) return kPeerFailed;
  if (dynamic_cast<const DeviceError*>(&error)) return kDeviceFailed;
  return kUnexpected;
}

bool report_exit_code(int code) {
  const char* path = std::getenv("VEOMNI_STATUS_FILE");
  if (path == nullptr) return true;
  // Not created here: on other machines than the parent's the file does not exist.
  const int file = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
  if (file < 0) return true;
  (void)flock(file, LOCK_EX);
  const bool first = first_failure(read_all(file)) == kDone;
  const std::string line = fmt::format("{} {}\n", launched_rank(), code);
  const bool written = write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  close(file);
  return first || !written;
}

int first_failure(const std::string& reports) {
  std::istringstream lines(reports);
  for (int rank = 0, code = 0; lines >> rank >> code;) {
    if (code != kDone) return code;
  }
  return kDone;
}

int launched_rank() { return environment_number("OMPI_COMM_WORLD_RANK", 0); }
int launched_size() { return environment_number("OMPI_COMM_WORLD_SIZE", 1); }

}  // namespace veomni
