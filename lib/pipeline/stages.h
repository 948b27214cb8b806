// What each stage does once it is known to be out of date. Inputs and outputs lie in the run directory.
#pragma once

#include "base/torch.h"
#include "pipeline/pipeline_config.h"
#include "pipeline/run_directory.h"

namespace elastify {

struct StageContext {
  const PipelineConfig& config;
  RunDirectory& run;
  torch::Device device;
  fs::path work;    // for progress; removed once the stage is done
  std::string key;  // names the inputs: progress saved under another key is of no use
  std::uint64_t seed() const { return static_cast<std::uint64_t>(config.seed); }
};

// Each returns its summary and leaves its files complete in the run directory.
json run_sample(const StageContext& context);     // sampled.safetensors, where no recovery text is given
json run_profile(const StageContext& context);    // profile.h5
json run_anchors(const StageContext& context);    // anchors.json, anchors.svg
json run_reorder(const StageContext& context);    // reordered/, plan.json
json run_finetune(const StageContext& context);   // adapters/, finetune.json, loss.svg
json run_pack(const StageContext& context);       // model.gguf
json run_pack_base(const StageContext& context);  // base.gguf: the same without a TLM, where one is to be trained

}  // namespace elastify
