// SIGBUS to one line: a table of mappings that a signal handler can read.
#include <unistd.h>
#include <csignal>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <utility>

#include "elrt/mapped_files.hpp"
#include "elrt/result.hpp"

namespace elrt {
namespace {

// `begin` says whose a slot is: nobody's, being filled, or a mapping's. The rest is written before it and read after
// it.
struct Slot {
  static constexpr std::uintptr_t kFree = 0, kBusy = 1;
  std::atomic<std::uintptr_t> begin{kFree};
  std::size_t bytes = 0;
  std::array<char, 512> path{};
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free);  // or a handler could wait for the thread it stopped

std::array<Slot, 512> slots;
const char* program_name = "elrt";

void say(const char* text) noexcept {
  for (std::size_t left = std::strlen(text); left > 0;) {
    const ssize_t written = ::write(STDERR_FILENO, text, left);
    if (written <= 0) return;
    text += written;
    left -= static_cast<std::size_t>(written);
  }
}

void on_lost_page(int signal, siginfo_t* info, void*) {
  const char* path = info->si_code > 0 ? find_mapping(info->si_addr) : nullptr;  // > 0: the kernel's, not kill()
  if (path == nullptr) {
    ::signal(signal, SIG_DFL);  // and the instruction that failed comes again
    if (info->si_code <= 0) ::raise(signal);
    return;
  }
  say(program_name);
  say(": cannot read '");
  say(path);
  say("': the file became shorter while it was in use, or its disk failed; run the same command again once it is "
      "whole\n");
  ::_exit(static_cast<int>(Status::kBadData));
}

}  // namespace

void end_on_lost_pages(const char* program) noexcept {
  program_name = program;
  struct sigaction action {};
  action.sa_sigaction = on_lost_page;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGBUS, &action, nullptr);
}

const char* find_mapping(const void* address) noexcept {
  const auto place = reinterpret_cast<std::uintptr_t>(address);
  for (const Slot& slot : slots) {
    const std::uintptr_t begin = slot.begin.load(std::memory_order_acquire);
    if (begin > Slot::kBusy && place >= begin && place - begin < slot.bytes) return slot.path.data();
  }
  return nullptr;
}

WatchedMapping::WatchedMapping(const void* begin, std::size_t bytes, const char* path) noexcept {
  for (std::size_t i = 0; i < slots.size(); ++i) {
    std::uintptr_t expected = Slot::kFree;
    if (!slots[i].begin.compare_exchange_strong(expected, Slot::kBusy, std::memory_order_acquire)) continue;
    slots[i].bytes = bytes;
    const std::size_t length = std::min(std::strlen(path), slots[i].path.size() - 1);
    std::memcpy(slots[i].path.data(), path, length);
    slots[i].path[length] = '\0';
    slots[i].begin.store(reinterpret_cast<std::uintptr_t>(begin), std::memory_order_release);
    slot_ = static_cast<int>(i);
    return;
  }
}

WatchedMapping::WatchedMapping(WatchedMapping&& other) noexcept : slot_(std::exchange(other.slot_, -1)) {}

WatchedMapping& WatchedMapping::operator=(WatchedMapping&& other) noexcept {
  std::swap(slot_, other.slot_);
  return *this;
}

WatchedMapping::~WatchedMapping() {
  if (slot_ >= 0) slots[static_cast<std::size_t>(slot_)].begin.store(Slot::kFree, std::memory_order_release);
}

}  // namespace elrt
