// Random choices that are the same with every standard library: the engine is specified to the bit, the distributions
// of the standard are not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace elastify {

class Draws {
 public:
  explicit Draws(std::uint64_t seed) : engine_(seed) {}

  // In [0, count); count from 1 to 2^32. The bias is below count / 2^32.
  std::size_t below(std::size_t count) {
    return static_cast<std::size_t>(((engine_() >> 32) * static_cast<std::uint64_t>(count)) >> 32);
  }
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(below(static_cast<std::size_t>(high - low + 1)));
  }
  bool percent(std::size_t chance) { return below(100) < chance; }

  template <typename T>
  const T& pick(const std::vector<T>& from) {
    return from[below(from.size())];
  }
  template <typename T>
  void shuffle(std::vector<T>& list) {
    for (std::size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[below(i)]);
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace elastify
