// Independent pieces of work, side by side.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace elastify {

inline std::size_t core_count() { return std::max(1u, std::thread::hardware_concurrency()); }

// Every thread calls make() once and then the function it returned with indices below `count`, each index once in all.
// `threads` 0: all cores. The first exception is thrown here, once all threads have stopped.
template <typename Make>
void work_in_parallel(std::size_t count, std::size_t threads, Make make) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&]() noexcept {
    try {
      auto run = make();
      for (std::size_t i = next++; i < count; i = next++) run(i);
    } catch (...) {
      next = count;
      const std::scoped_lock lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < std::min(threads > 0 ? threads : core_count(), count); ++i) others.emplace_back(work);
  work();
  for (auto& thread : others) thread.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace elastify
