// Latency tables for tests: one that is worked by hand, and random ones.
#pragma once

#include <algorithm>
#include <random>
#include <vector>

#include "elrt/latency_table.hpp"

namespace elastify_test {

// Lengths 10, 20, 40; level 100 takes twice what level 50 takes.
inline elrt::LatencyData small_table() {
  elrt::LatencyData data;
  data.artifact = 0x0123456789abcdefu;
  data.device = "a device";
  data.threads = 2;
  data.repeats = 5;
  data.tokens = {10, 20, 40};
  data.levels = {{50, {5, 10, 30}, {1, 1.5, 2}}, {100, {10, 20, 60}, {2, 3, 4}}};
  return data;
}

// Monotone in length and level, with TLM times.
inline elrt::LatencyData random_table(std::mt19937& random) {
  const auto draw = [&](double low, double high) { return std::uniform_real_distribution<double>(low, high)(random); };
  const auto count = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  elrt::LatencyData data = small_table();
  data.tokens.clear();
  data.levels.clear();
  for (int i = count(1, 6), n = 0; i > 0; --i) data.tokens.push_back(static_cast<std::uint32_t>(n += count(1, 200)));
  const std::size_t lengths = data.tokens.size();
  const auto rising = [&](const std::vector<double>& below, double step) {
    std::vector<double> curve(lengths);
    for (std::size_t j = 0; j < lengths; ++j) {
      curve[j] = std::max(j > 0 ? curve[j - 1] : 0.01, below.empty() ? 0.01 : below[j]) +
                 (count(0, 3) == 0 ? 0 : draw(0, step));
    }
    return curve;
  };
  std::vector<double> ttft, tpot;
  for (int level = 10 * count(2, 10);; level += 10) {
    ttft = rising(ttft, 30);
    tpot = rising(tpot, 2);
    data.levels.push_back({static_cast<std::uint32_t>(level), ttft, tpot});
    if (level == 100) break;
  }
  data.tlm = {rising({}, 3), rising({}, 3)};
  return data;
}

}  // namespace elastify_test
