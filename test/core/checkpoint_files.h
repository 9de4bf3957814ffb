#pragma once
// What the checkpoint and report tests share: a directory that goes away, and bytes in files.

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "support/temp_dir.h"

namespace veomni_test {

using TemporaryDirectory = veomni::test::TempDir;
using veomni::test::fast_directory;

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void spit(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// Standard output, or standard error, goes to a file while the object lives.
class Redirect {
 public:
  Redirect(FILE* stream, const std::filesystem::path& path)
      : stream_(stream), saved_(::dup(::fileno(stream))) {
    std::fflush(stream_);
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(file, ::fileno(stream_));
    ::close(file);
  }
  ~Redirect() {
    std::fflush(stream_);
    ::dup2(saved_, ::fileno(stream_));
    ::close(saved_);
  }
  Redirect(const Redirect&) = delete;
  Redirect& operator=(const Redirect&) = delete;

 private:
  FILE* stream_;
  int saved_;
};

/// The message of the exception of type E that `action` throws, or a note that none came.
template <class E, class Action>
std::string message_of(Action&& action) {
  try {
    action();
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("(another exception) ") + error.what();
  }
  return "(no exception)";
}

}  // namespace veomni_test
