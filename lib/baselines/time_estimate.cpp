#include "baselines/time_estimate.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/log.h"

namespace elastify {

TimeEstimate::TimeEstimate(std::vector<double> seconds) : seconds_(std::move(seconds)) {}

TimeEstimate::~TimeEstimate() { set_progress_frame({}); }

void TimeEstimate::start(const std::string& what) {
  watch_.restart();
  const std::string place = fmt::format("{} ({} of {})", what, at_ + 1, seconds_.size());
  set_progress_frame({place + ", ", [this](double line_left_s) {
                        return format_duration(left_seconds(line_left_s)) + " left in all";
                      }});
}

double TimeEstimate::finish(bool worked) {
  const double seconds = watch_.seconds();
  if (worked) {
    done_estimated_ += seconds_[at_];
    done_measured_ += seconds;
  }
  ++at_;
  return seconds;
}

double TimeEstimate::left_seconds(double line_left_s) const {
  const double factor = done_estimated_ > 0 ? done_measured_ / done_estimated_ : 1;
  const auto next = seconds_.begin() + static_cast<std::ptrdiff_t>(std::min(at_ + 1, seconds_.size()));
  return std::max(0.0, line_left_s) + factor * std::accumulate(next, seconds_.end(), 0.0);
}

}  // namespace elastify
