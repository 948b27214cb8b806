#include "finetune/teacher.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/stopwatch.h"
#include "model/side_by_side.h"

namespace elastify {
namespace {

constexpr std::int64_t kCacheTokens = 4096;  // a pass while the cache is filled

std::size_t pieces(std::int64_t rows, std::int64_t step) { return static_cast<std::size_t>((rows + step - 1) / step); }

}  // namespace

Teacher::Teacher(const Decoder& full, const TokenRows& text, std::int64_t cache_bytes, std::int64_t workers)
    : full_(full) {
  torch::NoGradGuard no_grad;
  const auto& weights = full.weights();
  const std::int64_t hidden = weights.config.hidden_size, rows = text.rows(), seq = text.seq();
  const auto bytes = static_cast<double>(rows * seq * hidden) * static_cast<double>(weights.embedding.element_size());
  if (bytes > static_cast<double>(cache_bytes)) return;
  const Stopwatch watch;
  cache_ = torch::empty({rows, seq, hidden}, weights.embedding.options());
  const std::int64_t step = std::max<std::int64_t>(1, kCacheTokens / seq);
  Progress progress("teacher", rows, "rows");
  for (std::int64_t row = 0; row < rows; row += workers * step) {
    const std::int64_t last = std::min(rows, row + workers * step);
    run_side_by_side(pieces(last - row, step), static_cast<std::size_t>(workers), [&](std::size_t i) {
      torch::NoGradGuard no_grad_here;
      const std::int64_t first = row + static_cast<std::int64_t>(i) * step, here = std::min(step, last - first);
      cache_.narrow(0, first, here)
          .copy_(full.hidden(text.inputs.narrow(0, first, here).to(weights.embedding.device())));
    });
    progress.update(last);
    stop_if_interrupted();
  }
  cache_seconds_ = watch.seconds();
}

torch::Tensor Teacher::logits(const Batch& batch) const {
  torch::NoGradGuard no_grad;
  const torch::Tensor states =
      cached() ? cache_.index_select(0, batch.rows.to(cache_.device())) : full_.hidden(batch.inputs);
  return full_.head(counted_positions(states, batch));
}

double mean_loss(const Decoder& decoder, const Adapter* adapter, const TokenRows& text, std::int64_t rows_at_once,
                 std::int64_t workers) {
  ForwardOptions options;
  options.adapter = adapter;
  std::vector<double> losses(pieces(text.rows(), rows_at_once));
  std::vector<std::int64_t> counts(losses.size());
  run_side_by_side(losses.size(), static_cast<std::size_t>(workers), [&](std::size_t i) {
    torch::NoGradGuard no_grad;
    const std::int64_t row = static_cast<std::int64_t>(i) * rows_at_once,
                       last = std::min(text.rows(), row + rows_at_once);
    const Batch batch = make_batch(text, torch::arange(row, last, torch::kInt64), decoder.weights().embedding.device());
    if (batch.counted() == 0) return;
    const torch::Tensor logits = decoder.head(counted_positions(decoder.hidden(batch.inputs, options), batch));
    losses[i] = summed_loss(logits, batch.targets).item<double>();
    counts[i] = batch.counted();
  });
  const double loss = std::accumulate(losses.begin(), losses.end(), 0.0);
  const std::int64_t counted = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  if (counted == 0) fail_data("finetune: the held-out text has no token that counts");
  const double mean = loss / static_cast<double>(counted);
  return std::isfinite(mean) ? mean : std::numeric_limits<double>::infinity();
}

}  // namespace elastify
