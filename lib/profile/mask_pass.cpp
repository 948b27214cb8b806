#include "profile/mask_pass.h"

#include <ATen/CPUGeneratorImpl.h>

#include <array>
#include <vector>

#include "profile/norm_factor.h"

namespace elastify {
namespace {

// What the gradients at the taps of one layer are multiplied with, by UnitKind.
using TapValues = std::array<torch::Tensor, 2>;

// Taps the forward pass; during a backward pass its hooks add mask gradients and free them layer by layer.
class TappedForward {
 public:
  TappedForward(MaskMoments& moments, const Decoder& decoder, bool probing)
      : moments_(moments),
        decoder_(decoder),
        probing_(probing),
        values_(static_cast<std::size_t>(decoder.num_layers())) {}

  torch::Tensor logits(const torch::Tensor& inputs) {
    ForwardOptions options;
    options.tap = [this](std::int64_t layer, UnitKind kind, torch::Tensor activations) {
      return tap(layer, kind, std::move(activations));
    };
    torch::Tensor x = decoder_.embed(inputs);
    for (std::int64_t layer = 0; layer < decoder_.num_layers(); ++layer) {
      const torch::Tensor below = x.detach();
      x = decoder_.block(layer, x, options);
      if (probing_) scale_values(layer, below, x.detach());
    }
    return decoder_.head(decoder_.finish(x));
  }

  // Which cotangent the next backward pass carries.
  void expect_probe() { carries_probe_ = true; }

 private:
  torch::Tensor& value(std::int64_t layer, UnitKind kind) {
    return values_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(kind)];
  }

  torch::Tensor tap(std::int64_t layer, UnitKind kind, torch::Tensor activations) {
    // The first tap is the graph's leaf: nothing below it needs a gradient.
    if (!activations.requires_grad()) activations = activations.detach().requires_grad_(true);
    value(layer, kind) = activations.detach();
    activations.register_hook([this, layer, kind](const torch::Tensor& gradients) { receive(layer, kind, gradients); });
    return activations;
  }

  void scale_values(std::int64_t layer, const torch::Tensor& below, const torch::Tensor& above) {
    const torch::NoGradGuard no_grad;
    const BlockWeights& block = decoder_.weights().blocks[static_cast<std::size_t>(layer)];
    torch::Tensor &groups = value(layer, UnitKind::kGroup), &neurons = value(layer, UnitKind::kNeuron);
    const torch::Tensor between = below + torch::linear(groups, block.o, block.o_bias);
    groups = scaled_groups(groups, between, block, decoder_.config());
    neurons = scaled_neurons(neurons, above, block);
  }

  void receive(std::int64_t layer, UnitKind kind, const torch::Tensor& gradients) {
    const torch::NoGradGuard no_grad;
    const torch::Tensor g = moments_.unit_gradients(kind, value(layer, kind), gradients);
    if (!carries_probe_) moments_.add_first_inplace(layer, kind, g);
    if (carries_probe_ || !probing_) {
      moments_.add_second_inplace(layer, kind, g, probing_ && kind == UnitKind::kGroup ? kGroupBlockTokens : 1);
    }
  }

  MaskMoments& moments_;
  const Decoder& decoder_;
  bool probing_, carries_probe_ = false;
  std::vector<TapValues> values_;
};

// Signs come from the CPU, so that every device sees the same.
torch::Tensor random_signs(const torch::Tensor& like, std::uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(seed);
  const torch::Tensor bits = torch::empty(like.sizes(), torch::kInt8).random_(0, 2, generator);
  return bits.to(like.device(), like.scalar_type()).mul_(2).sub_(1);
}

}  // namespace

torch::Tensor fisher_probe(const torch::Tensor& p, const torch::Tensor& signs) {
  torch::Tensor r = p.sqrt().mul_(signs);
  return r.sub_(p * r.sum(-1, true));
}

torch::Tensor add_batch_inplace(MaskMoments& moments, const Decoder& decoder, const torch::Tensor& inputs,
                                const torch::Tensor& targets, std::optional<std::uint64_t> probe_seed) {
  TappedForward forward(moments, decoder, probe_seed.has_value());
  torch::Tensor logits;
  {
    const torch::AutoGradMode with_grad(true);
    logits = forward.logits(inputs);
  }
  const torch::NoGradGuard no_grad;
  const auto wide = logits.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const torch::Tensor log_p = torch::log_softmax(logits.detach().to(wide), -1), p = log_p.exp();
  const torch::Tensor counts = targets.ne(kIgnore).unsqueeze(-1).to(wide), labels = targets.clamp_min(0).unsqueeze(-1);
  const torch::Tensor loss = (log_p.gather(-1, labels) * counts).sum(torch::kFloat64).neg();
  // The gradient of the summed loss in the logits: p - onehot(label) where a target counts.
  // It is freed before the second pass: tensors of this size are what takes the most memory.
  {
    const torch::Tensor error = (p * counts).scatter_add_(-1, labels, -counts);
    logits.backward(error.to(logits.scalar_type()), probe_seed.has_value());
  }
  if (probe_seed.has_value()) {
    forward.expect_probe();
    logits.backward((fisher_probe(p, random_signs(p, *probe_seed)) * counts).to(logits.scalar_type()));
  }
  return loss;
}

}  // namespace elastify
