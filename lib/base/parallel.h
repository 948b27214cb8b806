// Independent pieces of work, side by side: the one loop that starts threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/error.h"

namespace elastify {

inline std::size_t core_count() { return std::max(1u, std::thread::hardware_concurrency()); }

// Every thread calls make() once and then the function it returned with indices below `count`, each index once in all.
// `threads` 0: all cores. The first exception is thrown here, once all threads have stopped: they begin nothing new
// after it. Throws Error(kInternal) where the system has no more threads.
template <typename Make>
void work_in_parallel(std::size_t count, std::size_t threads, Make make) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto stop = [&]() noexcept {  // called while an exception is handled
    next = count;
    const std::scoped_lock lock(mutex);
    if (!failure) failure = std::current_exception();
  };
  const auto work = [&]() noexcept {
    try {
      auto run = make();
      for (std::size_t i = next++; i < count; i = next++) run(i);
    } catch (...) {
      stop();
    }
  };
  const std::size_t wanted = std::min(threads > 0 ? threads : core_count(), count);
  std::vector<std::thread> others;
  try {
    others.reserve(wanted);
    while (others.size() + 1 < wanted) others.emplace_back(work);
  } catch (const std::system_error& error) {
    try {
      fail(ErrorCode::kInternal, "cannot start thread {} of {}: {}; ask for fewer threads", others.size() + 2, wanted,
           error.code().message());
    } catch (...) {
      stop();
    }
  } catch (...) {
    stop();
  }
  work();
  for (auto& thread : others) thread.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace elastify
