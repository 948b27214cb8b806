#include "base/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <string_view>

namespace elastify {
namespace {

std::atomic<int> noted{0};
static_assert(std::atomic<int>::is_always_lock_free, "signal handlers may not wait");

extern "C" void note_signal(int signal) {
  noted = signal;
  // The next one takes its usual effect: files are whole or absent, so that nothing is damaged by it.
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  constexpr std::string_view kText = "stopping at the next safe place; once more stops at once\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, kText.data(), kText.size());
}

struct sigaction before_interrupt, before_termination;

void handle(int signal, struct sigaction& before) {
  // A signal that the parent chose to ignore (nohup, background jobs of a shell) stays ignored.
  if (::sigaction(signal, nullptr, &before) != 0 || before.sa_handler == SIG_IGN) return;
  struct sigaction action {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, nullptr);
}

}  // namespace

InterruptWatch::InterruptWatch() {
  noted = 0;
  handle(SIGINT, before_interrupt);
  handle(SIGTERM, before_termination);
}

InterruptWatch::~InterruptWatch() {
  ::sigaction(SIGINT, &before_interrupt, nullptr);
  ::sigaction(SIGTERM, &before_termination, nullptr);
  noted = 0;
}

int interrupted() { return noted; }

void stop_if_interrupted() {
  if (const int signal = noted; signal != 0)
    throw Interrupted(signal, signal == SIGTERM ? "stopped by SIGTERM" : "stopped by Ctrl-C");
}

}  // namespace elastify
