#include "fuzz/watch.h"

#include <fcntl.h>
#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <utility>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
extern "C" {  // of sanitizer/allocator_interface.h, which GCC does not install
int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void*, size_t),
                                              void (*)(const volatile void*));
size_t __sanitizer_get_allocated_size(const volatile void*);
}
#endif

namespace veomni::fuzz {
namespace {

const std::string* the_input = nullptr;
const std::string* the_finding = nullptr;

void keep_current() {
  const auto* input = std::exchange(the_input, nullptr);
  if (input != nullptr) keep(*input, *the_finding);
}

[[noreturn]] void end(const char* why) {
  keep_current();
  (void)!::write(STDERR_FILENO, why, std::strlen(why));
  ::_exit(1);
}

void on_time(int) { end("fuzz: an execution took too long\n"); }

void limit_seconds(int seconds) {
  itimerval timer{};
  timer.it_value.tv_sec = seconds;
  ::setitimer(ITIMER_PROF, &timer, nullptr);
}

#ifdef __SANITIZE_ADDRESS__
int64_t live_bytes = 0;

void on_allocation(const volatile void*, size_t bytes) {
  live_bytes += static_cast<int64_t>(bytes);
  if (the_input != nullptr && live_bytes > Watch::kMostBytes)
    end("fuzz: an execution took too much memory\n");
}

void on_free(const volatile void* place) {
  if (place != nullptr) live_bytes -= static_cast<int64_t>(__sanitizer_get_allocated_size(place));
}
#endif

void install() {
  std::signal(SIGPROF, on_time);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_install_malloc_and_free_hooks(on_allocation, on_free);
  __sanitizer_set_death_callback(keep_current);
#endif
}

}  // namespace

Watch::Watch(const std::string& input, const std::string& finding) {
  static const bool once = (install(), true);
  (void)once;
  the_finding = &finding;
  the_input = &input;
#ifdef __SANITIZE_ADDRESS__
  live_bytes = 0;
#endif
  limit_seconds(kMostSeconds);
}

Watch::~Watch() {
  the_input = nullptr;
  limit_seconds(0);
}

void keep(const std::string& input, const std::string& finding) {
  const int file = ::open(finding.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) return;
  (void)!::write(file, input.data(), input.size());
  ::close(file);
}

}  // namespace veomni::fuzz
