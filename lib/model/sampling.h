// Text drawn from a model itself: calibration and recovery data where the user gives none.
#pragma once

#include <functional>
#include <vector>

#include "io/dataset.h"
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

// Each document starts with BOS. Batches draw from seeds of their own, so any batch can be repeated alone.
// `progress` receives the number of documents done.
std::vector<TokenDocument> sample_documents(const Decoder& decoder, const SamplingRequest& request,
                                            const std::function<void(std::int64_t)>& progress = {});

}  // namespace elastify
