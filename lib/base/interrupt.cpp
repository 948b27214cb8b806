#include "base/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <string_view>

namespace elastify {
namespace {

std::atomic<int> noted{0};
std::atomic<std::int64_t> noted_at{0};
static_assert(std::atomic<std::int64_t>::is_always_lock_free, "signal handlers may not wait");

constexpr std::int64_t kOneRequest = 500;  // milliseconds

std::int64_t milliseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

extern "C" void note_signal(int signal) {
  if (noted != 0) {
    // One request may arrive twice: timeout(1) and others send it to the program and to its group.
    if (milliseconds() - noted_at < kOneRequest) return;
    // A second request takes its usual effect: files are whole or absent, so that nothing is damaged by it.
    std::signal(signal, SIG_DFL);
    std::raise(signal);
    return;
  }
  noted_at = milliseconds();
  noted = signal;
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
