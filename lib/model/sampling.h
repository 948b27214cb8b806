// Text drawn from a model itself: calibration and recovery data where the user gives none.
#pragma once

#include <vector>

#include "data/dataset.h"
#include "model/decoder.h"

namespace elastify {

struct SamplingRequest {
  std::int64_t documents = 0;
  std::int64_t max_tokens = 256;  // a document, BOS included
  double temperature = 1;         // 1 draws from the model's own distribution
  std::int64_t bos_id = 1;
  std::vector<std::int64_t> stop_ids;  // end a document; kept as its last id unless it is BOS
  std::int64_t batch = 256;
  std::uint64_t seed = 0;
};

// How many batches the request takes.
std::int64_t sample_batches(const SamplingRequest& request);

// Batch `index`. Each document starts with BOS; those that end at once are left out. Batches draw from seeds of their
// own, so that any of them can be drawn alone, and a run that was stopped goes on with the next.
std::vector<TokenDocument> sample_batch(const Decoder& decoder, const SamplingRequest& request, std::int64_t index);

}  // namespace elastify
