#pragma once
// A clean stop: SIGINT, SIGTERM and SIGUSR1 ask for one; the ranks agree on it in the step's all-reduce.

namespace veomni {

/// Takes the three signals over; a second SIGINT ends the process at once.
void watch_signals();

/// The first of them that came, or 0.
int stop_signal();

/// For tests: as if the signal had come.
void request_stop(int signal);

}  // namespace veomni
