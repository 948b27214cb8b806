// Threads that share one loop at a time. Own threads rather than OpenMP: no global state, and sanitizers understand
// them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace elrt {

inline constexpr std::uint32_t kMaxThreads = 1024;
// What was asked for, or for 0 as many as the machine has cores.
std::uint32_t resolve_threads(std::uint32_t asked);

class ThreadPool {
 public:
  // `threads` counts the caller too: 1 starts none.
  explicit ThreadPool(std::size_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::size_t threads() const { return workers_.size() + 1; }

  // Calls body(item, thread) for each item in 0..items-1, each once, in no fixed order; returns when all are done.
  // body must not throw, and must not call for_each. Only one thread may call for_each at a time.
  template <typename Body>
  void for_each(std::size_t items, const Body& body) {
    if (workers_.empty() || items <= 1) {
      for (std::size_t item = 0; item < items; ++item) body(item, std::size_t{0});
      return;
    }
    run(
        items,
        [](const void* context, std::size_t item, std::size_t thread) {
          (*static_cast<const Body*>(context))(item, thread);
        },
        &body);
  }

  // The same; items from `first` on are finished by finish(item, thread) after their body(), when the bodies of all
  // items below `first` are done. Items are handed out in ascending order, so whoever waits, waits for threads at work.
  template <typename Body, typename Finish>
  void for_each(std::size_t first, std::size_t items, const Body& body, const Finish& finish) {
    first_left_.store(static_cast<std::uint32_t>(first), std::memory_order_relaxed);
    for_each(items, [&](std::size_t item, std::size_t thread) {
      body(item, thread);
      if (item < first) return count_first();
      wait_for_first();
      finish(item, thread);
    });
  }

 private:
  using Call = void (*)(const void* context, std::size_t item, std::size_t thread);
  void run(std::size_t items, Call call, const void* context);
  void take_items(std::size_t thread);
  void serve(std::size_t thread);
  void stop_all();
  void count_first();
  void wait_for_first();

  std::vector<std::thread> workers_;
  int spins_;
  // The loop. A worker reads it only between a claim and the count of what it did, when the loop cannot have ended: a
  // worker that the system runs late finds nothing to claim and holds nobody up.
  Call call_ = nullptr;
  const void* context_ = nullptr;
  std::uint32_t items_ = 0;
  std::atomic<bool> stop_{false};
  alignas(64) std::atomic<std::uint32_t> epoch_{0};  // of the loop, what idle workers wait on
  alignas(64) std::atomic<std::uint64_t> unclaimed_{
      0};  // epoch << 32 | items that nobody has claimed: a claim from an earlier loop fails
  alignas(64) std::atomic<std::uint32_t> done_{0};        // items, counted when a thread finds no more
  alignas(64) std::atomic<std::uint32_t> first_left_{0};  // items that others wait for
};

}  // namespace elrt
