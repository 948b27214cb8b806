// How far a whole build is: which stage of how many, and how long all of them will still take.
#pragma once

#include <string>
#include <vector>

#include "base/stopwatch.h"
#include "pipeline/stage.h"

namespace elastify {

// While one lives, every line of progress says both. A stage's time is what it took when it last ran in this run
// directory; else its operations (Stage::work) at the speed of the stages before it, or of itself where it is the
// first.
class BuildProgress {
 public:
  BuildProgress(const std::vector<const Stage*>& stages, const PipelineConfig& config, const RunDirectory& run);
  ~BuildProgress();
  BuildProgress(const BuildProgress&) = delete;
  BuildProgress& operator=(const BuildProgress&) = delete;

  void start(const Stage& stage);
  // `worked`: false where the stage was up to date, so that its time says nothing.
  void finish(bool worked);

  std::string place() const;  // "stage 2 of 7"
  // Seconds that the build will still take where the present stage's own line says `line_left_s`; negative: not known.
  double left_seconds(double line_left_s) const;

 private:
  struct Entry {
    const Stage* stage;
    double work, last_seconds;
  };
  std::vector<Entry> entries_;
  std::size_t at_ = 0;
  Stopwatch watch_;  // of the present stage
  double done_work_ = 0, done_seconds_ = 0;
};

}  // namespace elastify
