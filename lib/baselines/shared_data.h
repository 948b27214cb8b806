// What all methods are compared on, read once: one checkpoint, one text, one set of tasks.
#pragma once

#include <elrt/tokenizer.hpp>

#include <string>
#include <vector>

#include "baselines/decoder_tasks.h"
#include "baselines/harness.h"
#include "baselines/named_text.h"
#include "finetune/finetune_config.h"
#include "model/decoder.h"
#include "pipeline/run_directory.h"

namespace elastify {

inline constexpr const char* kBaselinesFolder = "baselines";  // of the run directory

struct SharedData {
  const PipelineConfig& config;
  const BaselinesRequest& request;
  RunDirectory run;
  torch::Device device;
  Checkpoint checkpoint;
  elrt::TokenizerSpec spec;
  elrt::Tokenizer tokenizer;
  Decoder full;
  FinetuneConfig finetune;
  std::vector<NamedText> texts;
  TokenRows calibration, train, held_out;
  TaskSet tasks;
  json key;  // of what every piece depends on

  // Throws Error where the checkpoint, the texts or the tasks cannot be read.
  SharedData(const PipelineConfig& settings, const fs::path& run_dir, const BaselinesRequest& asked);
  std::uint64_t seed() const { return static_cast<std::uint64_t>(config.seed); }
  fs::path folder() const { return run.path() / kBaselinesFolder; }
};

json text_hashes(const std::vector<NamedText>& texts);
std::int64_t token_count(const std::vector<NamedText>& texts);

// One model of those that are compared: a prefix of `weights`.
struct MeasuredModel {
  const ModelWeights& weights;
  LevelWidths widths;
  const Adapter* adapter = nullptr;
  UnitTap tap;  // such a model computes in float32, any other as training does
};

double loss_on(const TokenRows& rows, const MeasuredModel& model, const FinetuneConfig& config);
// {TEXT: mean loss}
json losses_on(const std::vector<NamedText>& texts, const MeasuredModel& model, const FinetuneConfig& config);

}  // namespace elastify
