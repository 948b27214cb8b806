// Calibration rows for tests.
#pragma once

#include "data/dataset.h"
#include "model/decoder.h"

namespace elastify_test {

// Random inputs; targets drawn from the model's own distribution, as for a model that predicts its text perfectly.
// The last target of every row is ignored.
elastify::TokenRows self_rows(const elastify::Decoder& decoder, std::int64_t rows, std::int64_t seq,
                              std::uint64_t seed);

// Documents drawn from the model token by token, each a row that starts with `first`.
elastify::TokenRows sampled_rows(const elastify::Decoder& decoder, std::int64_t rows, std::int64_t seq,
                                 std::int64_t first, std::uint64_t seed);

}  // namespace elastify_test
