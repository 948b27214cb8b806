// Next-token loss on text, row by row, so that means and the noise of their differences follow.
#pragma once

#include <functional>
#include <vector>

#include "data/dataset.h"
#include "model/decoder.h"

namespace elastify {

struct RowLosses {
  std::vector<double> sums;          // nats, of each row's counted targets
  std::vector<std::int64_t> counts;  // of each row's counted targets
  double mean() const;               // nats per counted target; infinite where it is not finite
};

// Standard error of a.mean() - b.mean(), rows being what was sampled: of the ratio of sums over independent rows. Both
// are of the same rows. 0 for a single row.
double difference_error(const RowLosses& a, const RowLosses& b);

// tokens [rows, seq] to final hidden states [rows * seq, hidden] of some model.
using StatesOf = std::function<torch::Tensor(const torch::Tensor& tokens)>;

// `head` has the states' type. Reads `rows_at_once` rows a pass, `workers` passes at a time; the result does not depend
// on the workers. Throws Error(kBadData) where no target counts.
RowLosses row_losses(const StatesOf& states, const torch::Tensor& head, const TokenRows& text,
                     std::int64_t rows_at_once, std::int64_t workers = 1);

// Of a decoder, in its own type; `adapter` may be null.
double mean_loss(const Decoder& decoder, const Adapter* adapter, const TokenRows& text, std::int64_t rows_at_once,
                 std::int64_t workers = 1);

}  // namespace elastify
