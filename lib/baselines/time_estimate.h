// How long a run of many pieces will still take: estimates from counts of operations, corrected by what was measured.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/stopwatch.h"

namespace elastify {

class TimeEstimate {
 public:
  // One for each piece in the order of the run, seconds.
  explicit TimeEstimate(std::vector<double> seconds);
  ~TimeEstimate();
  TimeEstimate(const TimeEstimate&) = delete;
  TimeEstimate& operator=(const TimeEstimate&) = delete;

  // The next piece begins: from now on every line of progress names it and the time left in all.
  void start(const std::string& what);
  // The seconds it took. `worked`: false where it was done before, so that its time says nothing.
  double finish(bool worked);

  // What is left after the present piece, and all of it with `line_left_s` of the present piece; seconds.
  double left_seconds(double line_left_s) const;

 private:
  std::vector<double> seconds_;
  std::size_t at_ = 0;
  double done_estimated_ = 0, done_measured_ = 0;
  Stopwatch watch_;
};

}  // namespace elastify
