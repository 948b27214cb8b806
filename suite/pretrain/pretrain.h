// From nothing to a Hugging Face checkpoint: tokenizer, corpus, training.
#pragma once

#include "pretrain/pretrainer.h"

namespace elastify {

// Leaves `directory` as a checkpoint (config.json, model.safetensors, tokenizer.json, ...) with pretrain.json (settings
// and figures), metrics.jsonl and loss.svg next to it. Until it is whole, everything lies in `directory`.partial, from
// where a run that was killed goes on; equal settings, data, threads and device give equal bits. A finished directory
// of the same settings and data is left as it is. Throws Error(kUsage) on settings that do not fit together and where
// `directory` holds something else, Error(kBadData) on damaged data.
nlohmann::json pretrain(const PretrainConfig& config, const fs::path& out);

// A few lines for people.
std::string format_pretrain(const nlohmann::json& summary);

}  // namespace elastify
