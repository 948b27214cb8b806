#include "profile/time_ratio.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/stopwatch.h"
#include "profile/mask_pass.h"

namespace elastify {
namespace {

// The first rows, on the decoder's device.
struct TimedBatch {
  torch::Tensor inputs, targets;
};
TimedBatch first_batch(const TokenRows& rows, std::int64_t batch_rows, torch::Device device) {
  const std::int64_t count = std::min(batch_rows, rows.rows());
  return {rows.inputs.narrow(0, 0, count).to(device), rows.targets.narrow(0, 0, count).to(device)};
}

double median_seconds(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

constexpr double kMostTimedBytes = 4.0 * (1 << 30);

// The same weights, each asking for a gradient.
ModelWeights trainable(const ModelWeights& weights) {
  ModelWeights copy = weights;
  const auto ask = [](torch::Tensor& t) {
    if (t.defined()) t = t.detach().requires_grad_(true);
  };
  for (torch::Tensor* t : {&copy.embedding, &copy.final_norm, &copy.head}) ask(*t);
  for (BlockWeights& b : copy.blocks) {
    for (const BlockTensor& part : block_table()) ask(b.*part.field);
  }
  return copy;
}

// Seconds of one plain forward and backward pass.
double time_plain(const ModelWeights& weights, const TimedBatch& batch) {
  const Decoder decoder(weights);
  const Stopwatch watch;
  torch::Tensor x = decoder.embed(batch.inputs);
  if (!x.requires_grad()) x = x.detach().requires_grad_(true);
  for (std::int64_t layer = 0; layer < decoder.num_layers(); ++layer) x = decoder.block(layer, x);
  const torch::Tensor loss = summed_loss(decoder.head(decoder.finish(x)), batch.targets);
  loss.backward();
  torch::zeros({1}, loss.options()).item<double>();  // waits for the device
  return watch.seconds();
}

double time_profile(const Decoder& decoder, const TimedBatch& batch, const std::string& method) {
  MaskMoments moments(decoder.config(), batch.inputs.device());
  const Stopwatch watch;
  add_batch_inplace(moments, decoder, batch.inputs, batch.targets, ProductType::kFloat32,
                    method == "fisher" ? std::optional<std::uint64_t>(1) : std::nullopt);
  moments.first(UnitKind::kGroup).sum().item<double>();  // waits for the device
  return watch.seconds();
}

double weight_bytes(const ModelWeights& weights) {
  const ModelConfig& c = weights.config;
  return static_cast<double>(c.num_layers * c.weights_per_block() + c.weights_outside_blocks()) *
         static_cast<double>(weights.embedding.element_size());
}

}  // namespace

TimeRatio time_profile_ratio(const Decoder& decoder, const TokenRows& rows, std::int64_t batch_rows,
                             const std::string& method, int repeats) {
  const TimedBatch batch = first_batch(rows, batch_rows, decoder.weights().embedding.device());
  const bool training = weight_bytes(decoder.weights()) <= kMostTimedBytes;
  std::vector<double> profile_s, training_s, activations_s;
  for (int repeat = 0; repeat <= repeats; ++repeat) {
    const double with_taps = time_profile(decoder, batch, method);
    const double with_weights = training ? time_plain(trainable(decoder.weights()), batch) : 0;
    const double without = time_plain(decoder.weights(), batch);
    if (repeat == 0) continue;  // warms caches and allocators up
    profile_s.push_back(with_taps);
    training_s.push_back(with_weights);
    activations_s.push_back(without);
  }
  return {median_seconds(profile_s), median_seconds(training_s), median_seconds(activations_s)};
}

}  // namespace elastify
