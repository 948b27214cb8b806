// How a device keeps up with its latency table at present: what requests took compared with what the table said, of the
// last ones.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "elrt/scheduler.hpp"

namespace elrt {

class Pace {
 public:
  static constexpr std::size_t kWindow = 128;  // requests that count: enough for the share below
  static constexpr std::size_t kFewest = 8;    // below that a single slow one would speak for all
  static constexpr double kShare = 0.99;       // of them that a prediction shall hold for,
  static constexpr double kSpread =
      1.5;  // up to this many times the median: beyond are interruptions, which no lighter decision prevents
  static constexpr double kLeast = 0.5, kMost = 20;

  // `table`: what the latency table predicts for what was done, without any pace. A TPOT of 0: there was no further
  // token.
  void observe(const Latency& table, const Latency& measured) {
    ttft_.add(measured.ttft_ms / table.ttft_ms);
    if (measured.tpot_ms > 0) tpot_.add(measured.tpot_ms / table.tpot_ms);
  }

  // By what the table's times are to be multiplied; 1 until there is enough to go by.
  Latency factors() const { return {ttft_.factor(), tpot_.factor()}; }

 private:
  class Ratios {
   public:
    void add(double ratio) { values_[count_++ % kWindow] = ratio; }
    double factor() const {
      if (count_ < kFewest) return 1;
      std::vector<double> seen(values_.begin(),
                               values_.begin() + static_cast<std::ptrdiff_t>(std::min(count_, kWindow)));
      std::sort(seen.begin(), seen.end());
      const auto at = [&](double share) {
        return seen[static_cast<std::size_t>(share * static_cast<double>(seen.size() - 1) + 0.5)];
      };
      return std::clamp(std::min(at(kShare), kSpread * at(0.5)), kLeast, kMost);
    }

   private:
    std::array<double, kWindow> values_{};
    std::size_t count_ = 0;
  };
  Ratios ttft_, tpot_;
};

}  // namespace elrt
