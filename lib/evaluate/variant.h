// Ablations: the same configuration with a few settings replaced, each built in a run directory of its own.
#pragma once

#include <string>
#include <vector>

#include "pipeline/pipeline_config.h"

namespace elastify {

struct Variant {
  std::string name;                    // of its folder
  std::string about;                   // one line for people
  std::vector<std::string> overrides;  // KEY=VALUE, laid over the configuration
};

// Those that change something in `config`; of the tiny language model only where a build trains one for its artifact:
//   no_reordering   units in the checkpoint's order
//   no_adapters     levels as they were cut
//   no_score_head   labelled prompts shortened by random words
//   small_tlm       half of the tiny language model's layers: cut from tlm.body where that is a published checkpoint,
//                   else trained from nothing (one that is trained already cannot be cut) in the body's widths
//   steps_of_5      levels in steps of 5 % from the lowest one on, next to those that there are; so too the levels of
//                   labels and, between the lowest and the highest that has one, of adapters, where they are set
//   weights_TYPE    the blocks' matrices in f16, q8_0, iq4_nl and q4_0
// Reads tlm.body; throws as that is read.
std::vector<Variant> variant_table(const PipelineConfig& config);

// run_dir/evaluate/NAME
fs::path variant_directory(const fs::path& run_dir, const std::string& name);

// Builds `variant` of the run in `run_dir`: `config_path` and `overrides` are those of that run's build. What the
// variant's settings do not change is shared with `run_dir` (shared_stages.h), the rest runs; a variant that was killed
// goes on where it was, a finished one is up to date. Where tlm.latency_table is a measured one, the decision-head
// trains for it as long as base.gguf and the tiny language model's shape are the run's own; else base.gguf is measured
// first, and it trains for that table (variant_latency.h). A synthetic one is made for each variant's own base.gguf.
// {"name", "about", "overrides", "run_dir", "shared": [stages that were up to date or taken over before any ran],
// "stages": [summaries as Pipeline::build()], "artifact"}.
// Throws Error(kUsage) where `run_dir` is no run directory, and what Pipeline and share_stages() throw.
json build_variant(const fs::path& config_path, std::vector<std::string> overrides, const fs::path& run_dir,
                   const Variant& variant);

}  // namespace elastify
