#include "finetune/teacher.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/log.h"

namespace elastify {
namespace {

constexpr std::int64_t kCacheTokens = 4096;  // a pass while the cache is filled

}  // namespace

Teacher::Teacher(const Decoder& full, const TokenRows& text, std::int64_t cache_bytes) : full_(full) {
  torch::NoGradGuard no_grad;
  const auto& weights = full.weights();
  const std::int64_t hidden = weights.config.hidden_size, rows = text.rows(), seq = text.seq();
  const auto bytes = static_cast<double>(rows * seq * hidden) * static_cast<double>(weights.embedding.element_size());
  if (bytes > static_cast<double>(cache_bytes)) return;
  const auto started = std::chrono::steady_clock::now();
  cache_ = torch::empty({rows, seq, hidden}, weights.embedding.options());
  const std::int64_t step = std::max<std::int64_t>(1, kCacheTokens / seq);
  Progress progress("teacher", rows, "rows");
  for (std::int64_t row = 0; row < rows; row += step) {
    const std::int64_t here = std::min(step, rows - row);
    cache_.narrow(0, row, here).copy_(full.hidden(text.inputs.narrow(0, row, here).to(weights.embedding.device())));
    progress.update(row + here);
  }
  cache_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
}

torch::Tensor Teacher::logits(const Batch& batch) const {
  torch::NoGradGuard no_grad;
  const torch::Tensor states = cached() ? cache_.index_select(0, batch.rows.to(cache_.device())) : full_.hidden(batch.inputs);
  return full_.head(counted_positions(states, batch));
}

double mean_loss(const Decoder& decoder, const Adapter* adapter, const TokenRows& text, std::int64_t rows_at_once) {
  torch::NoGradGuard no_grad;
  ForwardOptions options;
  options.adapter = adapter;
  double loss = 0;
  std::int64_t counted = 0;
  for (std::int64_t row = 0; row < text.rows(); row += rows_at_once) {
    const std::int64_t last = std::min(text.rows(), row + rows_at_once);
    const Batch batch = make_batch(text, torch::arange(row, last, torch::kInt64), decoder.weights().embedding.device());
    if (batch.counted() == 0) continue;
    const torch::Tensor logits = decoder.head(counted_positions(decoder.hidden(batch.inputs, options), batch));
    loss += summed_loss(logits, batch.targets).item<double>();
    counted += batch.counted();
  }
  if (counted == 0) fail_data("finetune: the held-out text has no token that counts");
  const double mean = loss / static_cast<double>(counted);
  return std::isfinite(mean) ? mean : std::numeric_limits<double>::infinity();
}

}  // namespace elastify
