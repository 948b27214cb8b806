// How far a whole build is: which stage of how many, and how long all of them will still take.
#pragma once

#include <string>
#include <vector>

#include "base/stopwatch.h"
#include "pipeline/stage.h"

namespace elastify {

// While one lives, every line of progress says both. A stage's time is what it took when it last ran in this run
// directory; else its operations (Stage::work) at the speed of the stages before it, or of itself where it is the
// first, or, before anything has run, at the speed of a product of the model's size on this machine.
class BuildProgress {
 public:
  BuildProgress(const std::vector<const Stage*>& stages, const PipelineConfig& config, const RunDirectory& run);
  ~BuildProgress();
  BuildProgress(const BuildProgress&) = delete;
  BuildProgress& operator=(const BuildProgress&) = delete;

  void start(const Stage& stage);
  // `worked`: false where the stage was up to date, so that its time says nothing.
  void finish(bool worked);

  // "7 stages, about 40 m on this machine for all of them": what stands at the start of a build; without a time where
  // it is not known.
  std::string announcement() const;
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
  double first_speed_ = 0;  // operations a second, before any stage has run; 0: not known
};

}  // namespace elastify
