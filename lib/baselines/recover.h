// Recovery of a candidate with one adapter, as the finetune stage recovers a level.
#pragma once

#include "baselines/method.h"
#include "finetune/level_trainer.h"

namespace elastify {

struct RecoveryInput {
  const Decoder& full;  // the teacher
  const TokenRows& train;
  const TokenRows& held_out;  // the adapter must improve on it to be kept
  const FinetuneConfig& config;
  double loss_full = 0;  // on held_out
  std::uint64_t seed = 0;
};

// The settings that all methods share, from those of the finetune stage: adapters of their own, no early stop, so that
// equal steps mean equal tokens; evaluated at the end. `tokens`: of training, 0: as the settings say.
FinetuneConfig shared_settings(const FinetuneConfig& config, std::int64_t context, std::int64_t tokens);

// Evaluates at the end alone where the settings name no interval. Throws Error(kUsage) where nothing would be trained.
Schedule shared_schedule(const FinetuneConfig& config, std::int64_t hidden_size, std::int64_t rows);

// `teacher` is made when it is first needed and serves every candidate.
class Recoverer {
 public:
  Recoverer(const RecoveryInput& input, const Schedule& schedule) : input_(input), schedule_(schedule) {}

  // The level's result; its adapter, where it was kept, lies in `directory`. A stopped training goes on.
  LevelResult run(const Candidate& candidate, const std::string& key, const fs::path& directory);
  const Teacher* teacher();

 private:
  RecoveryInput input_;
  Schedule schedule_;
  std::optional<Teacher> teacher_;
};

}  // namespace elastify
