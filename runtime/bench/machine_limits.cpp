#include "machine_limits.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "base/guarded.hpp"
#include "peak_loops.hpp"

namespace elrt {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRuns = 5;

// `work` done by every thread at once; the best rate of several runs, in units of `amount` per thread.
double best_rate(std::uint32_t threads, double amount, const std::function<void(std::uint32_t)>& work) {
  double best = 0;
  for (int run = 0; run < kRuns; ++run) {
    const auto start = Clock::now();
    std::vector<std::thread> others;
    try {
      for (std::uint32_t t = 1; t < threads; ++t) others.emplace_back(work, t);
    } catch (...) {
      for (std::thread& other : others) other.join();
      throw;
    }
    work(0);
    for (std::thread& other : others) other.join();
    best = std::max(best, threads * amount / std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

double memory_rate(std::uint32_t threads) {
  constexpr std::size_t kWords = std::size_t{256} * 1024 * 1024 / sizeof(std::uint64_t);
  const std::vector<std::uint64_t> buffer(kWords, 1);
  const std::size_t share = kWords / threads;
  std::vector<std::uint64_t> sums(std::size_t{threads} * 8);  // a cache line each
  const double rate = best_rate(threads, static_cast<double>(share * sizeof(std::uint64_t)), [&](std::uint32_t t) {
    sums[std::size_t{t} * 8] = peak::sum_words(buffer.data() + share * t, share);
  });
  for (std::uint32_t t = 0; t < threads; ++t) {
    if (sums[std::size_t{t} * 8] != share) return 0;  // the sums are used, so the reads cannot be left out
  }
  return rate;
}

}  // namespace

Result<MachineLimits> measure_machine_limits(std::uint32_t threads) {
  return guarded("measure the machine", [&]() -> Result<MachineLimits> {
    MachineLimits limits;
    limits.threads = threads != 0 ? threads : std::max(1u, std::thread::hardware_concurrency());
    limits.memory_bytes_per_s = memory_rate(limits.threads);
    constexpr std::uint64_t kRounds = 1u << 20;  // about 10 ms
    const double float_ops = static_cast<double>(kRounds * peak::float_ops_per_round());
    const double bf16_ops = static_cast<double>(kRounds * peak::bf16_ops_per_round());
    const double byte_ops = static_cast<double>(kRounds * peak::byte_ops_per_round());
    limits.float_ops_per_s = best_rate(limits.threads, float_ops, [](std::uint32_t) { peak::float_rounds(kRounds); });
    limits.bf16_ops_per_s = best_rate(limits.threads, bf16_ops, [](std::uint32_t) { peak::bf16_rounds(kRounds); });
    limits.byte_ops_per_s = best_rate(limits.threads, byte_ops, [](std::uint32_t) { peak::byte_rounds(kRounds); });
    return limits;
  });
}

}  // namespace elrt
