#include "base/thread_pool.hpp"

#include <algorithm>

namespace elrt {
namespace {

void pause_cpu() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins a little, because the next loop of a layer comes within microseconds, then sleeps in the kernel.
template <typename T>
void wait_while_equal(const std::atomic<T>& value, T old, int spins) {
  for (int i = 0; i < spins; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause_cpu();
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

std::uint32_t resolve_threads(std::uint32_t asked) {
  return asked != 0 ? asked : std::clamp(std::thread::hardware_concurrency(), 1u, kMaxThreads);
}

ThreadPool::ThreadPool(std::size_t threads) {
  constexpr int kSpins = 2000;  // tens of microseconds
  const unsigned cores = std::thread::hardware_concurrency();
  spins_ = cores != 0 && threads > cores ? 0 : kSpins;  // more threads than cores: spinning starves the one that works
  workers_.reserve(threads == 0 ? 0 : threads - 1);
  try {
    for (std::size_t i = 1; i < threads; ++i) workers_.emplace_back([this, i] { serve(i); });
  } catch (...) {  // the system has no more threads: those that run must not go on
    stop_all();
    throw;
  }
}

ThreadPool::~ThreadPool() { stop_all(); }

void ThreadPool::stop_all() {
  stop_.store(true, std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(std::size_t items, Call call, const void* context) {
  call_ = call;
  context_ = context;
  items_ = static_cast<std::uint32_t>(items);
  done_.store(0, std::memory_order_relaxed);
  const std::uint64_t epoch = epoch_.load(std::memory_order_relaxed) + 1;
  unclaimed_.store(epoch << 32 | items_, std::memory_order_release);
  epoch_.store(static_cast<std::uint32_t>(epoch), std::memory_order_release);
  epoch_.notify_all();
  take_items(0);
  for (std::uint32_t done; (done = done_.load(std::memory_order_acquire)) != items_;)
    wait_while_equal(done_, done, spins_);
}

void ThreadPool::take_items(std::size_t thread) {
  std::uint32_t taken = 0, items = 0;
  std::uint64_t unclaimed = unclaimed_.load(std::memory_order_acquire);
  while (static_cast<std::uint32_t>(unclaimed) != 0) {
    if (!unclaimed_.compare_exchange_weak(unclaimed, unclaimed - 1, std::memory_order_acquire)) continue;
    items = items_;
    call_(context_, items - static_cast<std::uint32_t>(unclaimed), thread);
    ++taken;
    unclaimed = unclaimed_.load(std::memory_order_acquire);
  }
  if (taken == 0) return;
  const bool last = done_.fetch_add(taken, std::memory_order_acq_rel) + taken == items;
  if (last && thread != 0) done_.notify_one();
}

void ThreadPool::count_first() {
  if (first_left_.fetch_sub(1, std::memory_order_acq_rel) == 1) first_left_.notify_all();
}

void ThreadPool::wait_for_first() {
  for (std::uint32_t left; (left = first_left_.load(std::memory_order_acquire)) != 0;)
    wait_while_equal(first_left_, left, spins_);
}

void ThreadPool::serve(std::size_t thread) {
  for (std::uint32_t seen = 0;;) {
    wait_while_equal(epoch_, seen, spins_);
    seen = epoch_.load(std::memory_order_acquire);
    if (stop_.load(std::memory_order_relaxed)) return;
    take_items(thread);
  }
}

}  // namespace elrt
