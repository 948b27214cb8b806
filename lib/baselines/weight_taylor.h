// LLM-Pruner's importance (Ma et al. 2023, "param_first"): the sum over all of a unit's weights of |w dL/dw|.
#pragma once

#include "profile/importance.h"

namespace elastify {

// L is the mean next-token loss over `rows`. Holds one gradient for each of the blocks' weights.
UnitScores weight_taylor_scores(const Decoder& decoder, const TokenRows& rows);

// The layers that LLM-Pruner leaves whole: of 32, those before 4 and from 30 on; of other depths in proportion.
std::vector<std::int64_t> llm_pruner_whole_layers(std::int64_t layers);

}  // namespace elastify
