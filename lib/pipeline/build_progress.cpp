#include "pipeline/build_progress.h"

#include <algorithm>

#include "base/log.h"

namespace elastify {

BuildProgress::BuildProgress(const std::vector<const Stage*>& stages, const PipelineConfig& config,
                             const RunDirectory& run) {
  const ModelConfig model = Checkpoint::open(config.checkpoint).config();
  for (const Stage* stage : stages)
    entries_.push_back({stage, stage->work(config, model), run.last_seconds(stage->name)});
}

BuildProgress::~BuildProgress() { set_progress_frame({}); }

void BuildProgress::start(const Stage& stage) {
  for (at_ = 0; at_ + 1 < entries_.size() && entries_[at_].stage != &stage;) ++at_;
  watch_.restart();
  if (entries_.size() < 2) return;
  set_progress_frame({place() + ", ", [this](double line_left_s) {
                        const double left_s = left_seconds(line_left_s);
                        return left_s < 0 ? std::string() : "build: " + format_duration(left_s) + " left";
                      }});
}

void BuildProgress::finish(bool worked) {
  if (!worked) return;
  done_work_ += entries_[at_].work;
  done_seconds_ += watch_.seconds();
}

std::string BuildProgress::place() const { return fmt::format("stage {} of {}", at_ + 1, entries_.size()); }

double BuildProgress::left_seconds(double line_left_s) const {
  const Entry& now = entries_[at_];
  // Operations a second.
  double speed = done_seconds_ > 0 ? done_work_ / done_seconds_ : 0;
  if (speed <= 0 && line_left_s >= 0) speed = now.work / std::max(1e-9, watch_.seconds() + line_left_s);
  const auto seconds_of = [&](const Entry& entry) {
    if (entry.last_seconds > 0) return entry.last_seconds;
    return speed > 0 ? entry.work / speed : -1;
  };
  const double whole = seconds_of(now);
  if (whole < 0) return -1;
  double left = std::max(line_left_s, whole - watch_.seconds());
  for (std::size_t i = at_ + 1; i < entries_.size(); ++i) left += std::max(0.0, seconds_of(entries_[i]));
  return std::max(0.0, left);
}

}  // namespace elastify
