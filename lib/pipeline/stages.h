// The stages' own functions, which stage_table.cpp lists; one file each. run_ leaves the outputs complete in the run
// directory and returns a summary, describe_ turns a summary into lines for people.
#pragma once

#include "pipeline/stage.h"

namespace elastify {

inline constexpr const char* kBaseArtifact = "base.gguf";  // without a TLM: what labels are made with
inline constexpr const char* kArtifact = "model.gguf";
inline constexpr const char* kLatencyFile = "latency.json";

json run_sample(const StageContext& context);       // sampled.safetensors, where no recovery text is given
json run_profile(const StageContext& context);      // profile.h5
json run_anchors(const StageContext& context);      // anchors.json, anchors.svg
json run_reorder(const StageContext& context);      // reordered/, plan.json
json run_finetune(const StageContext& context);     // adapters/, finetune.json, finetune.svg
json run_pack_base(const StageContext& context);    // base.gguf: without a TLM, where one is to be trained
json run_train_score(const StageContext& context);  // score/: body and score-head (the decision-head is untrained)
json run_label(const StageContext& context);        // labels.h5
json run_train_tlm(const StageContext& context);    // tlm/: all of it; latency.json: the table that it was trained for
json run_compare(const StageContext& context);      // comparison.json, compression.svg, comparison_*.svg
json run_pack(const StageContext& context);         // model.gguf

std::string describe_sample(const json& summary);
std::string describe_profile(const json& summary);
std::string describe_anchors(const json& summary);
std::string describe_reorder(const json& summary);
std::string describe_finetune(const json& summary);
std::string describe_pack(const json& summary);
std::string describe_train_score(const json& summary);
std::string describe_label(const json& summary);
std::string describe_train_tlm(const json& summary);
std::string describe_compare(const json& summary);

// The unfinished label stage of a run directory, for a helping process: works until nothing is left. Throws
// Error(kUsage) where no label stage is under way.
json help_label(const fs::path& run_dir, std::int64_t threads);

}  // namespace elastify
