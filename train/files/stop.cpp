#include "train/files/stop.h"

#include <csignal>
#include <cstdio>

namespace ef {
namespace {

std::atomic<bool> asked = false;
std::atomic<int> by = 0;
static_assert(std::atomic<int>::is_always_lock_free);  // a handler may touch nothing else

void on_stop(int signal) {
  by = signal;
  asked = true;
  std::signal(signal, SIG_DFL);
}

// Nobody reads what is printed any more: `train | head`, or a `| tee` that Ctrl-C ended first. It comes with
// every line, and must not kill before the checkpoint is written.
void on_broken_pipe(int signal) {
  if (!asked) by = signal;
  asked = true;
}

}  // namespace

void heed_stop_signals() {
  std::signal(SIGINT, on_stop);
  std::signal(SIGTERM, on_stop);
  std::signal(SIGPIPE, on_broken_pipe);
  if (std::signal(SIGHUP, on_stop) == SIG_IGN) std::signal(SIGHUP, SIG_IGN);
}

const std::atomic<bool>& stop_asked() { return asked; }

int stop_signal() { return by; }

void end_if_stopped() {
  if (!asked) return;
  std::fflush(stdout);
  std::signal(by, SIG_DFL);
  std::raise(by);
}

}  // namespace ef
