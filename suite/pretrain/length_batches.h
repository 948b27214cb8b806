// Documents of similar length side by side: rows never hold two documents, so nothing attends across them, and little
// is padding.
#pragma once

#include <vector>

#include "base/torch.h"
#include "pretrain/corpus.h"

namespace elastify {

struct PaddedBatch {
  torch::Tensor inputs;                // [rows, seq] int64
  torch::Tensor targets;               // [rows, seq] int64, kIgnore where nothing counts
  torch::Tensor weights;               // [rows, seq] float32, 0 where nothing counts
  std::vector<std::size_t> documents;  // of each row, index into what was batched
};

// Sorts by length and cuts where rows x longest would exceed `batch_tokens`; a document longer than that is a batch of
// its own. Every document is in exactly one batch.
std::vector<PaddedBatch> batch_by_length(const std::vector<WeightedDocument>& documents, std::int64_t batch_tokens);

}  // namespace elastify
