#include "pretrain/length_batches.h"

#include <algorithm>
#include <numeric>

#include "model/decoder.h"

namespace elastify {
namespace {

PaddedBatch pad(const std::vector<WeightedDocument>& documents, std::vector<std::size_t> chosen) {
  std::size_t longest = 0;
  for (const std::size_t i : chosen) longest = std::max(longest, documents[i].ids.size());
  const auto rows = static_cast<std::int64_t>(chosen.size()), seq = static_cast<std::int64_t>(longest) - 1;
  PaddedBatch batch{torch::zeros({rows, seq}, torch::kInt64), torch::full({rows, seq}, kIgnore, torch::kInt64),
                    torch::zeros({rows, seq}), std::move(chosen)};
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto& document = documents[batch.documents[static_cast<std::size_t>(row)]];
    auto* inputs = batch.inputs.data_ptr<std::int64_t>() + row * seq;
    auto* targets = batch.targets.data_ptr<std::int64_t>() + row * seq;
    auto* weights = batch.weights.data_ptr<float>() + row * seq;
    std::copy(document.ids.begin(), document.ids.end() - 1, inputs);
    for (std::size_t i = 1; i < document.ids.size(); ++i) {
      if (document.weights[i] == 0) continue;
      targets[i - 1] = document.ids[i];
      weights[i - 1] = document.weights[i];
    }
  }
  return batch;
}

}  // namespace

std::vector<PaddedBatch> batch_by_length(const std::vector<WeightedDocument>& documents, std::int64_t batch_tokens) {
  std::vector<std::size_t> order(documents.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return documents[a].ids.size() < documents[b].ids.size(); });
  std::vector<PaddedBatch> batches;
  std::vector<std::size_t> chosen;
  for (const std::size_t i : order) {
    const auto after = static_cast<std::int64_t>((chosen.size() + 1) * documents[i].ids.size());
    if (!chosen.empty() && after > batch_tokens) batches.push_back(pad(documents, std::exchange(chosen, {})));
    chosen.push_back(i);
  }
  if (!chosen.empty()) batches.push_back(pad(documents, std::move(chosen)));
  return batches;
}

}  // namespace elastify
