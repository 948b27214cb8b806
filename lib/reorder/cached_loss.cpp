#include "reorder/cached_loss.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace elastify {
namespace {

// Matrices that products round anyway are rounded once. Those with a bias are multiplied as they are.
BlockWeights in_product_type(BlockWeights block, ProductType products) {
  if (products != ProductType::kBfloat16 || block.q.scalar_type() != torch::kFloat32) return block;
  for (const BlockTensor& part : block_matrices()) {
    const bool biased = (block.q_bias.defined() && part.field != &BlockWeights::o) ||
                        (block.o_bias.defined() && part.field == &BlockWeights::o);
    const bool mlp = part.unit() == Unit::kNeuron;
    if (mlp || !biased) block.*part.field = (block.*part.field).to(torch::kBFloat16);
  }
  return block;
}

// Of a row of tokens that passes through one block: a bound on the larger half of it.
double row_floats(const ModelConfig& c) {
  const double attention = 3 * static_cast<double>(c.num_kv_heads * (2 * c.group_width() + 4 * c.head_dim));
  return static_cast<double>(8 * c.hidden_size) + std::max(attention, 4.0 * static_cast<double>(c.intermediate_size));
}

}  // namespace

CachedLoss::CachedLoss(const ModelWeights& weights, const TokenRows& rows, std::int64_t batch_rows,
                       ProductType products, Measure measure)
    : config_(weights.config) {
  const torch::NoGradGuard no_grad;
  const torch::Device device = weights.embedding.device();
  options_.products = products;
  rotary_ = make_rotary_tables(config_, rows.seq(), device, weights.embedding.scalar_type());
  final_norm_ = weights.final_norm;
  const bool half = products == ProductType::kBfloat16 && weights.head.scalar_type() == torch::kFloat32;
  head_ = half ? weights.head.to(torch::kBFloat16) : weights.head;
  for (const auto& block : weights.blocks) whole_.push_back(in_product_type(block, products));
  present_ = whole_;
  for (std::int64_t first = 0; first < rows.rows(); first += batch_rows) {
    const std::int64_t count = std::min(batch_rows, rows.rows() - first);
    Batch batch;
    const torch::Tensor targets = rows.targets.narrow(0, first, count).to(device).flatten();
    batch.counted = torch::nonzero(targets != kIgnore).flatten();
    batch.targets = targets.index_select(0, batch.counted);
    if (batch.counted.numel() == 0) continue;
    tokens_ += batch.counted.numel();
    batch.inputs.resize(whole_.size());
    batch.inputs[0] = embed_tokens(weights.embedding, rows.inputs.narrow(0, first, count).to(device), config_);
    batches_.push_back(std::move(batch));
  }
  if (tokens_ == 0) fail_data("the calibration text predicts nothing: give more of it (data.calibration)");
  if (measure == Measure::kNextToken) return;
  constexpr std::int64_t kTeacherTokens = 64;
  for (Batch& batch : batches_)
    batch.teacher =
        top_tokens(counted_states(batch, 0, nullptr), head_, std::min(kTeacherTokens, config_.vocab_size), 1);
}

torch::Tensor CachedLoss::forward(const BlockWeights& block, std::int64_t layer, const torch::Tensor& x) const {
  return block_forward(block, config_, rotary_, layer, x, options_);
}

void CachedLoss::refresh(std::int64_t layer) {
  for (; valid_ < layer; ++valid_) {
    const auto at = static_cast<std::size_t>(valid_);
    for (Batch& batch : batches_) batch.inputs[at + 1] = forward(present_[at], valid_, batch.inputs[at]);
  }
}

// Final states of the tokens that count, with `replaced` in place of layer `first`, whose inputs are valid; null: with
// the present one.
torch::Tensor CachedLoss::counted_states(const Batch& batch, std::int64_t first, const BlockWeights* replaced) const {
  torch::Tensor x = batch.inputs[static_cast<std::size_t>(first)];
  for (std::int64_t layer = first; layer < config_.num_layers; ++layer)
    x = forward(layer == first && replaced != nullptr ? *replaced : present_[static_cast<std::size_t>(layer)], layer,
                x);
  const torch::Tensor states = rms_norm(x, final_norm_, config_.rms_norm_eps).flatten(0, 1);
  return states.index_select(0, batch.counted).to(head_.scalar_type());
}

double CachedLoss::finish(std::int64_t first, const BlockWeights* replaced) {
  double sum = 0;
  for (const Batch& batch : batches_) {
    const Objective objective{batch.teacher.defined() ? 1.0 : 0.0, 1, 1};
    const torch::Tensor states = counted_states(batch, first, replaced);
    sum += head_loss(states, head_, batch.targets, batch.teacher, objective, false)
               .losses.sum(torch::kFloat64)
               .item<double>();
  }
  const double mean = sum / static_cast<double>(tokens_);
  if (!std::isfinite(mean)) {
    fail_data(
        "the loss over the calibration rows is not finite (layer {} changed): look for damaged weights or values "
        "beyond "
        "the range of the dtype",
        first);
  }
  return mean;
}

double CachedLoss::loss() {
  const torch::NoGradGuard no_grad;
  refresh(config_.num_layers - 1);
  return finish(config_.num_layers - 1, nullptr);
}

double CachedLoss::loss_with(std::int64_t layer, std::int64_t kv_groups, std::int64_t neurons) {
  const torch::NoGradGuard no_grad;
  refresh(layer);
  const BlockWeights block = slice_block(whole_[static_cast<std::size_t>(layer)], config_, kv_groups, neurons);
  return finish(layer, &block);
}

void CachedLoss::take(std::int64_t layer, std::int64_t kv_groups, std::int64_t neurons) {
  present_[static_cast<std::size_t>(layer)] =
      slice_block(whole_[static_cast<std::size_t>(layer)], config_, kv_groups, neurons);
  valid_ = std::min(valid_, layer);
}

double cached_loss_bytes(const ModelConfig& c, std::int64_t tokens, std::int64_t batch_rows, std::int64_t seq,
                         ProductType products) {
  const auto real = [](std::int64_t value) { return static_cast<double>(value); };
  const double matrices = real(c.num_layers * c.weights_per_block() + c.vocab_size * c.hidden_size);
  const double copies = products == ProductType::kBfloat16 ? 2 * matrices : 0;
  const double logits = 4 * real(std::int64_t{1} << 23);  // head_loss() takes so many at a time
  return copies + 4 * real(tokens * c.num_layers * c.hidden_size) + 4 * real(batch_rows * seq) * row_floats(c) + logits;
}

}  // namespace elastify
