// Which rows a step reads: every epoch is a permutation of its own, derived from the seed, so that step N reads the
// same rows whether or not the process was restarted before it.
#pragma once

#include <vector>

#include "data/dataset.h"

namespace elastify {

class RowOrder {
 public:
  RowOrder(std::int64_t rows, std::uint64_t seed) : rows_(rows), seed_(seed) {}
  // Rows [first, first + count) of the endless sequence epoch 0, epoch 1, ... : int64 [count], CPU.
  torch::Tensor rows(std::int64_t first, std::int64_t count);

 private:
  std::int64_t rows_;
  std::uint64_t seed_;
  std::int64_t epoch_ = -1;
  torch::Tensor permutation_;
};

// One pass's input.
struct Batch {
  torch::Tensor rows;       // [rows] int64, CPU: indexes into the text
  torch::Tensor inputs;     // [rows, seq] int64
  torch::Tensor targets;    // [counted] int64: those that count
  torch::Tensor positions;  // [counted] int64: their places in the flattened batch; undefined if all count
  std::int64_t counted() const { return targets.size(0); }
};

Batch make_batch(const TokenRows& text, const torch::Tensor& rows, torch::Device device);

// [rows, seq, width] or [rows * seq, width] to [counted, width].
torch::Tensor counted_positions(const torch::Tensor& states, const Batch& batch);

}  // namespace elastify
