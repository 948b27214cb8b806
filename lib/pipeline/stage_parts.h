// What several stages begin with.
#pragma once

#include <elrt/tokenizer.hpp>

#include "data/dataset.h"
#include "model/decoder.h"
#include "pipeline/stages.h"
#include "quantise/guide_pass.h"

namespace elastify {

elrt::TokenizerSpec load_tokenizer_spec(const PipelineConfig& config, const Checkpoint& checkpoint);
elrt::Tokenizer load_tokenizer(const PipelineConfig& config, const Checkpoint& checkpoint);

// Float32, on the stage's device.
Decoder load_decoder(const StageContext& context, const Checkpoint& checkpoint);

// Documents as rows of `seq` tokens, packed or apart as data.pack says; at most `max_tokens` (0: all).
TokenRows make_rows(const DataConfig& data, const std::vector<TokenDocument>& documents, std::int64_t seq,
                    std::int64_t max_tokens, std::uint64_t seed);
// Calibration text that predicts `tokens` tokens, in rows of profile.seq; less, with a warning, where there is no more;
// 0: all of it.
TokenRows calibration_rows(const StageContext& context, const Checkpoint& checkpoint, std::int64_t tokens);
// Does finetune round what it trains on, and does text guide how?
bool rounds_by_text(const PipelineConfig& config);
// What guides the rounding of quantised matrices, as pack's settings have it: the same for pack and finetune.
RoundingText rounding_text(const StageContext& context, const Checkpoint& reordered, const ElasticPlan& plan);

}  // namespace elastify
