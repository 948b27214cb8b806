#include "finetune/row_losses.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "finetune/batches.h"
#include "model/loss_head.h"
#include "model/side_by_side.h"

namespace elastify {

double RowLosses::mean() const {
  const double sum = std::accumulate(sums.begin(), sums.end(), 0.0);
  const double mean = sum / static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}));
  return std::isfinite(mean) ? mean : std::numeric_limits<double>::infinity();
}

double difference_error(const RowLosses& a, const RowLosses& b) {
  require(a.counts == b.counts, "losses of different rows");
  const auto rows = static_cast<double>(a.sums.size());
  if (rows < 2) return 0;
  const double mean = a.mean() - b.mean();
  double squares = 0, tokens = 0;
  for (std::size_t i = 0; i < a.sums.size(); ++i) {
    const double count = static_cast<double>(a.counts[i]), residual = a.sums[i] - b.sums[i] - mean * count;
    squares += residual * residual;
    tokens += count;
  }
  return std::sqrt(squares * rows / (rows - 1)) / tokens;
}

RowLosses row_losses(const StatesOf& states, const torch::Tensor& head, const TokenRows& text,
                     std::int64_t rows_at_once, std::int64_t workers) {
  const auto rows = static_cast<std::size_t>(text.rows()), step = static_cast<std::size_t>(rows_at_once);
  RowLosses result{std::vector<double>(rows), std::vector<std::int64_t>(rows)};
  run_side_by_side((rows + step - 1) / step, static_cast<std::size_t>(workers), [&](std::size_t i) {
    const torch::NoGradGuard no_grad;
    const std::size_t first = i * step, count = std::min(step, rows - first);
    const Batch batch = make_batch(
        text, torch::arange(static_cast<std::int64_t>(first), static_cast<std::int64_t>(first + count), torch::kInt64),
        head.device());
    const torch::Tensor by_row =
        (text.targets.narrow(0, batch.rows[0].item<std::int64_t>(), static_cast<std::int64_t>(count)) != kIgnore)
            .sum(1);
    const torch::Tensor losses = batch.counted() == 0 ? torch::zeros({0}, torch::kFloat64)
                                                      : head_loss(counted_positions(states(batch.inputs), batch), head,
                                                                  batch.targets, {}, {}, false)
                                                            .losses.to(torch::kCPU, torch::kFloat64);
    std::int64_t at = 0;
    for (std::size_t r = 0; r < count; ++r) {
      const auto n = by_row[static_cast<std::int64_t>(r)].item<std::int64_t>();
      result.sums[first + r] = losses.narrow(0, at, n).sum().item<double>();
      result.counts[first + r] = n;
      at += n;
    }
  });
  if (std::all_of(result.counts.begin(), result.counts.end(), [](std::int64_t n) { return n == 0; }))
    fail_data("finetune: the held-out text has no token that counts");
  return result;
}

double mean_loss(const Decoder& decoder, const Adapter* adapter, const TokenRows& text, std::int64_t rows_at_once,
                 std::int64_t workers) {
  ForwardOptions options;
  options.adapter = adapter;
  const auto states = [&](const torch::Tensor& tokens) { return decoder.hidden(tokens, options).flatten(0, 1); };
  return row_losses(states, decoder.weights().head, text, rows_at_once, workers).mean();
}

}  // namespace elastify
