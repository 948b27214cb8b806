// Recovery of a candidate with one adapter, as the finetune stage recovers a level.
#pragma once

#include "baselines/method.h"
#include "finetune/adapter_trainer.h"

namespace elastify {

struct RecoveryInput {
  const Decoder& full;               // the teacher
  std::vector<std::int64_t> levels;  // all that will be asked for: the teacher's part covers the rows that they read
  fs::path teacher;                  // folder of its part
  std::string key;                   // names its weights and the text
  const TokenRows& train;
  const TokenRows& held_out;  // the adapter must improve on it to be kept
  const FinetuneConfig& config;
  double loss_full = 0;  // on held_out
  std::uint64_t seed = 0;
};

// The settings that all methods share, from those of the finetune stage: adapters of their own, no early stop, so that
// equal steps mean equal tokens. `tokens`: of training, 0: as the settings say.
FinetuneConfig shared_settings(const FinetuneConfig& config, std::int64_t context, std::int64_t tokens);

// Evaluates at the end alone where the settings name no interval. Throws Error(kUsage) where nothing would be trained.
Schedule shared_schedule(const FinetuneConfig& config, std::int64_t hidden_size, const TokenRows& train);

// The teacher's part is made when it is first needed and serves every candidate.
class Recoverer {
 public:
  Recoverer(const RecoveryInput& input, const Schedule& schedule) : input_(input), schedule_(schedule) {}

  // The level's result; its adapter, where it was kept, lies in `directory`. A stopped training goes on.
  LevelResult run(const Candidate& candidate, const std::string& key, const fs::path& directory);
  const Teacher* teacher();  // null for next-token loss alone

 private:
  RecoveryInput input_;
  Schedule schedule_;
  std::optional<Teacher> teacher_;
};

}  // namespace elastify
