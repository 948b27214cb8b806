#include "finetune/batches.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>

#include "base/hash.h"
#include "model/decoder.h"

namespace elastify {

torch::Tensor RowOrder::rows(std::int64_t first, std::int64_t count) {
  std::vector<torch::Tensor> parts;
  while (count > 0) {
    if (const std::int64_t epoch = first / rows_; epoch != epoch_) {
      auto generator =
          at::detail::createCPUGenerator(derive_seed(seed_, "row order", static_cast<std::uint64_t>(epoch)));
      permutation_ = torch::randperm(rows_, generator, torch::kInt64);
      epoch_ = epoch;
    }
    const std::int64_t start = first % rows_, here = std::min(count, rows_ - start);
    parts.push_back(permutation_.narrow(0, start, here));
    first += here;
    count -= here;
  }
  return torch::cat(parts);
}

Batch make_batch(const TokenRows& text, const torch::Tensor& rows, torch::Device device) {
  Batch batch;
  batch.rows = rows;
  batch.inputs = text.inputs.index_select(0, rows).to(device);
  const torch::Tensor targets = text.targets.index_select(0, rows).flatten();
  const torch::Tensor positions = (targets != kIgnore).nonzero().flatten();
  batch.targets = targets.index_select(0, positions).to(device);
  if (positions.size(0) < targets.size(0)) batch.positions = positions.to(device);
  return batch;
}

torch::Tensor counted_positions(const torch::Tensor& states, const Batch& batch) {
  const torch::Tensor flat = states.flatten(0, -2);
  return batch.positions.defined() ? flat.index_select(0, batch.positions) : flat;
}

}  // namespace elastify
