// One method at one level, piece by piece.
#pragma once

#include <optional>
#include <string>

#include "baselines/method.h"
#include "baselines/recover.h"
#include "baselines/scratch.h"
#include "baselines/shared_data.h"

namespace elastify {

class CandidateRun {
 public:
  // All must outlive this object.
  CandidateRun(SharedData& shared, MethodInputs& inputs, Recoverer& recoverer, const Schedule& schedule,
               const Method& method, std::int64_t level);

  std::string name() const { return fmt::format("{} level {}", method_.name, level_); }
  bool recovers() const { return method_.recovery != Recovery::kNone; }
  bool feasible() const { return !result_.contains("infeasible"); }
  const json& result() const { return result_; }

  // Loss as cut, and latency. True where anything had to be computed.
  bool before();
  // Recovery, loss after it, tasks; after before(). Likewise.
  bool after();

 private:
  std::string key(const json& more) const;
  std::string training_key() const;
  json training_data() const;
  std::uint64_t row_seed() const;
  LevelPlan plan() const;

  Candidate& candidate();
  Decoder sliced();
  const ScratchModel& scratch();
  std::optional<Adapter> adapter() const;

  json cut();
  json latency(bool& worked);
  json recovered();
  json measured_tasks();

  SharedData& shared_;
  MethodInputs& inputs_;
  Recoverer& recoverer_;
  const Schedule& schedule_;
  const Method& method_;
  std::int64_t level_;
  fs::path folder_;
  json result_;
  std::optional<Candidate> candidate_;
  std::optional<ScratchModel> scratch_;
};

}  // namespace elastify
