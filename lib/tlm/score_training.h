// From texts and word labels to a body and a score-head.
#pragma once

#include <vector>

#include "tlm/labelled_rows.h"
#include "tlm/tlm_settings.h"

namespace elastify {

// A body from nothing, trained on masked words: rows without SLO tokens. float32 on `device`. `work`: a folder from
// whose files a stopped run goes on; empty: none.
TlmBody train_body(const TlmConfig& config, const TlmSettings& settings, const std::vector<LabelledRow>& rows,
                   std::int64_t mask_id, torch::Device device, std::uint64_t seed, const fs::path& work,
                   TlmTrainResult& result);

struct ScoreTraining {
  TlmTrainResult joint, score;
};
// Rows with SLO tokens, which are drawn again for every batch, so that the score does not hang on them. `joint`: the
// bottom trains too, first. `work` as above.
ScoreTraining train_score_head(DualHead& model, const TlmSettings& settings, bool joint,
                               const std::vector<LabelledRow>& rows, std::uint64_t seed, const fs::path& work);

// How well scores rank words: the chance that a word to retain scores above one to discard, mean over the texts that
// have both; equal scores count half. 0.5 for no such text. labels as in LabelledRow.
double ranking_accuracy(const std::vector<std::vector<float>>& scores,
                        const std::vector<std::vector<std::int64_t>>& labels);

}  // namespace elastify
