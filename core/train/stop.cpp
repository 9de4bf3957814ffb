#include "core/train/stop.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

namespace veomni {
namespace {

std::atomic<int> first_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "used in a signal handler");

extern "C" void veomni_on_signal(int signal) {
  int none = 0;
  if (!first_signal.compare_exchange_strong(none, signal) && signal == SIGINT && none == SIGINT)
    _exit(130);
}

}  // namespace

void watch_signals() {
  struct sigaction action = {};
  action.sa_handler = veomni_on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) sigaction(signal, &action, nullptr);
}

int stop_signal() { return first_signal.load(); }

void request_stop(int signal) { first_signal.store(signal); }

}  // namespace veomni
