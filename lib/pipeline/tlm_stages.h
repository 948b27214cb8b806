// The stages that make the tiny language model. Inputs and outputs lie in the run directory.
#pragma once

#include "pipeline/stages.h"

namespace elastify {

inline constexpr const char* kBaseArtifact = "base.gguf";  // without a TLM: what labels are made with
inline constexpr const char* kLatencyFile = "latency.json";

json run_train_score(const StageContext& context);  // score/: body and score-head (the decision-head is untrained)
json run_label(const StageContext& context);        // labels.h5
json run_train_tlm(const StageContext& context);    // tlm/: all of it; latency.json: the table that it was trained for
json run_compare(const StageContext& context);      // comparison.json, compression.svg, comparison_*.svg

// What compare found, as tables: decisions at the traces' SLOs, compression by prompt level.
std::string format_compare_stage(const json& result);

// The unfinished label stage of a run directory, for a helping process: works until nothing is left. Throws
// Error(kUsage) where no label stage is under way.
json help_label(const fs::path& run_dir, std::int64_t threads);

}  // namespace elastify
