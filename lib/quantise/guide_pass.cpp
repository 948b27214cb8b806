#include "quantise/guide_pass.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"

namespace elastify {
namespace {

constexpr std::int64_t kRowsAtOnce = 8;

// Sums x x' over the rows of x, whatever its leading dimensions.
struct Moments {
  torch::Tensor sum;
  std::int64_t count = 0;

  void add(const torch::Tensor& x) {
    const torch::Tensor flat = x.flatten(0, -2);
    const torch::Tensor product = flat.t().matmul(flat);
    sum = sum.defined() ? sum.add_(product) : product;
    count += flat.size(0);
  }
  torch::Tensor mean() const { return sum / static_cast<double>(count); }
};

}  // namespace

const MatrixGuide& BlockGuides::of(const BlockTensor& matrix) const {
  if (matrix.field == &BlockWeights::o) return output;
  if (matrix.field == &BlockWeights::down) return down;
  return matrix.field == &BlockWeights::gate || matrix.field == &BlockWeights::up ? feed_forward : attention;
}

GuidePass::GuidePass(const ModelConfig& config, const torch::Tensor& embedding, const RoundingText& text, Load load)
    : config_(config), levels_(text.levels), carry_(text.carry), load_(std::move(load)) {
  const torch::NoGradGuard no_grad;
  rotary_ = make_rotary_tables(config, text.tokens.size(1), torch::kCPU, torch::kFloat32);
  hidden_ = torch::embedding(embedding, text.tokens).to(torch::kFloat32).mul(config.embedding_scale);
}

const BlockGuides& GuidePass::at(std::int64_t layer) {
  require(layer >= done_ - 1 && layer < config_.num_layers, "guide pass: layers in ascending order");
  while (done_ <= layer) advance();
  return guides_;
}

// The tap keeps what enters down and sends zeros on, so that the block returns what enters the feed-forward half.
void GuidePass::advance() {
  const torch::NoGradGuard no_grad;
  const BlockWeights block = load_(done_);
  Moments attention, output, feed_forward, down;
  torch::Tensor neurons;
  ForwardOptions options;
  options.tap = [&](std::int64_t, UnitKind kind, torch::Tensor x) {
    if (kind == UnitKind::kGroup) {
      output.add(x);
      return x;
    }
    neurons = x;
    return torch::zeros_like(x);
  };
  for (std::int64_t row = 0; row < hidden_.size(0); row += kRowsAtOnce) {
    stop_if_interrupted();
    torch::Tensor x = hidden_.narrow(0, row, std::min(kRowsAtOnce, hidden_.size(0) - row));
    attention.add(rms_norm(x, block.attn_norm, config_.rms_norm_eps));
    const torch::Tensor between = block_forward(block, config_, rotary_, done_, x, options);
    feed_forward.add(rms_norm(between, block.ffn_norm, config_.rms_norm_eps));
    down.add(neurons);
    x.copy_(between + added(neurons.matmul(block.down.t()), block.ffn_post_norm, config_.rms_norm_eps));
  }
  std::vector<std::int64_t> groups, widths;
  for (const LevelWidths& level : levels_) {
    const auto layer = static_cast<std::size_t>(done_);
    groups.push_back(level.kv_groups[layer] * (config_.num_heads / config_.num_kv_heads) * config_.head_dim);
    widths.push_back(level.neurons[layer]);
  }
  std::sort(groups.begin(), groups.end());
  std::sort(widths.begin(), widths.end());
  guides_ = {make_guide(attention.mean(), {}, carry_), make_guide(output.mean(), groups, carry_),
             make_guide(feed_forward.mean(), {}, carry_), make_guide(down.mean(), widths, carry_)};
  ++done_;
}

}  // namespace elastify
