#include "base/thread_pool.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <random>
#include <thread>
#include <vector>

namespace {

using elrt::ThreadPool;

TEST_CASE("A thread pool does every item of every loop once, and has done them when the loop returns",
          "[runtime][threads]") {
  const std::size_t threads = GENERATE(1, 2, 3, 16);  // also more than there are cores: then some always run late
  ThreadPool pool(threads);
  CHECK(pool.threads() == threads);
  std::mt19937 random(7);
  std::vector<std::uint32_t> times(
      257, 0);  // plain memory: the loop's end must publish it, and the sanitizer sees where it does not
  std::size_t wrong_threads = 0, wrong_loops = 0;
  for (std::uint32_t loop = 1; loop <= 3000; ++loop) {
    const std::size_t items = random() % (times.size() + 1) % (1 + random() % times.size());
    std::atomic<std::size_t> strangers{0};
    std::fill(times.begin(), times.end(), 0);
    pool.for_each(items, [&](std::size_t item, std::size_t thread) {
      // Now and then the caller takes long enough for others to come, and they take longer than the caller has left.
      if (loop % 64 == 0 && item < 2) std::this_thread::sleep_for(std::chrono::microseconds(thread == 0 ? 200 : 2000));
      times[item] += loop;
      if (thread >= threads) strangers.fetch_add(1);
    });
    wrong_threads += strangers;
    for (std::size_t i = 0; i < times.size(); ++i) wrong_loops += times[i] != (i < items ? loop : 0);
  }
  CHECK(wrong_threads == 0);
  CHECK(wrong_loops == 0);
}

TEST_CASE("Items of a loop that are finished after its first ones see all that those did", "[runtime][threads]") {
  const std::size_t threads = GENERATE(1, 2, 3, 16);
  ThreadPool pool(threads);
  std::mt19937 random(8);
  std::vector<std::uint32_t> made(12);  // plain memory, as above
  std::size_t early = 0, missing = 0;
  for (std::uint32_t loop = 1; loop <= 3000; ++loop) {
    const std::size_t first = random() % made.size(), items = first + random() % 40;
    std::vector<std::uint32_t> seen(items), begun(items);
    std::fill(made.begin(), made.end(), 0);
    const auto make = [&](std::size_t item, std::size_t) {
      if (loop % 64 == 0 && item == 0)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));  // the others sleep meanwhile
      (item < first ? made[item] : begun[item]) = loop;
    };
    const auto look = [&](std::size_t item, std::size_t) {
      if (begun[item] != loop) return;
      seen[item] = static_cast<std::uint32_t>(
                       std::count(made.begin(), made.begin() + static_cast<std::ptrdiff_t>(first), loop)) +
                   1;
    };
    pool.for_each(first, items, make, look);
    for (std::size_t i = 0; i < first; ++i) missing += made[i] != loop;
    for (std::size_t i = first; i < items; ++i) early += seen[i] != first + 1;
  }
  CHECK(missing == 0);
  CHECK(early == 0);
}

TEST_CASE("Threads of a pool work side by side", "[runtime][threads]") {
  ThreadPool pool(3);
  std::atomic<int> inside{0};
  pool.for_each(3, [&](std::size_t, std::size_t) {
    inside.fetch_add(1);
    while (inside.load() < 3) std::this_thread::yield();  // ends only when each thread holds an item
  });
  CHECK(inside == 3);
}

}  // namespace
