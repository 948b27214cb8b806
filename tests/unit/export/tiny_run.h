// Run directories of tiny models, as scripts/check_export writes them: weights follow from tensors' names, so that
// stored logits of other engines need no stored weights.
#pragma once

#include <string>

#include "base/files.h"
#include "base/torch.h"
#include "model/weights.h"

namespace elastify_test {

// tests/golden/export/cases.json: {config, kv_groups, neurons, rank, scale} by name. Level 50 keeps these units, 100
// all.
nlohmann::json export_cases();

// Writes reordered/, plan.json, finetune.json and adapters/shared into `folder`. `dtype`: of the checkpoint.
void write_tiny_run(const nlohmann::json& example, const elastify::fs::path& folder);

// Uniform numbers of this deviation, a function of the name: FNV-1a seeds splitmix64.
torch::Tensor named_values(const std::string& name, const std::vector<std::int64_t>& shape, double deviation);

// Logits of the level in float64, by the toolchain's forward pass over its slice, the adapter not merged:
// [tokens, vocabulary].
torch::Tensor level_logits(const elastify::fs::path& run, std::int64_t level, const torch::Tensor& tokens,
                           bool with_adapter = true);
// Of a checkpoint as it lies there, float64.
torch::Tensor checkpoint_logits(const elastify::fs::path& checkpoint, const torch::Tensor& tokens);

// The largest difference relative to the largest of `expected`.
double difference(const torch::Tensor& expected, const torch::Tensor& found);

}  // namespace elastify_test
