#pragma once
// Errors: one line, `where: what; what to do`. The type decides the exit code (cmd/exit_code.h).

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace veomni {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct ConfigError : Error {  ///< recipe, data, arguments, checkpoint: the user can fix it (exit 2)
  using Error::Error;
};
struct CommError : Error {  ///< a peer or a collective failed (exit 3)
  using Error::Error;
};
struct DeviceError : Error {  ///< the device refused (exit 4)
  using Error::Error;
};

/// Throws `E` with the formatted line unless `ok`; the format string is checked at compile time.
template <class E, class... Args>
void require(bool ok, fmt::format_string<Args...> format, Args&&... args) {
  if (!ok) throw E(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace veomni
