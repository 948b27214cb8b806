#include "profile/mask_pass.h"

#include <array>
#include <vector>

#include "profile/norm_factor.h"
#include "profile/probe_head.h"

namespace elastify {
namespace {

// What the gradients at the taps of one layer are multiplied with, by UnitKind.
using TapValues = std::array<torch::Tensor, 2>;

// Taps the forward pass; during a backward pass its hooks add mask gradients and free them layer by layer.
class TappedForward {
 public:
  TappedForward(MaskMoments& moments, const Decoder& decoder, ProductType products, bool probing)
      : moments_(moments),
        decoder_(decoder),
        products_(products),
        probing_(probing),
        values_(static_cast<std::size_t>(decoder.num_layers())) {}

  // After the final norm, [batch, seq, hidden].
  torch::Tensor hidden(const torch::Tensor& inputs) {
    ForwardOptions options;
    options.products = products_;
    options.tap = [this](std::int64_t layer, UnitKind kind, torch::Tensor activations) {
      return tap(layer, kind, std::move(activations));
    };
    torch::Tensor x = decoder_.embed(inputs);
    for (std::int64_t layer = 0; layer < decoder_.num_layers(); ++layer) {
      const torch::Tensor below = x.detach();
      x = decoder_.block(layer, x, options);
      if (probing_) scale_values(layer, below, x.detach());
    }
    return decoder_.finish(x);
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
    const torch::Tensor between = below + (block.o_bias.defined() ? torch::linear(groups, block.o, block.o_bias)
                                                                  : linear_product(groups, block.o, products_));
    groups = scaled_groups(groups, between, block, decoder_.config(), products_);
    neurons = scaled_neurons(neurons, above, block, products_);
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
  ProductType products_;
  bool probing_, carries_probe_ = false;
  std::vector<TapValues> values_;
};

}  // namespace

torch::Tensor add_batch_inplace(MaskMoments& moments, const Decoder& decoder, const torch::Tensor& inputs,
                                const torch::Tensor& targets, ProductType products,
                                std::optional<std::uint64_t> probe_seed) {
  TappedForward forward(moments, decoder, products, probe_seed.has_value());
  torch::Tensor hidden;
  {
    const torch::AutoGradMode with_grad(true);
    hidden = forward.hidden(inputs);
  }
  const HeadGradients head = ProbeHead(decoder.weights().head, products).gradients(hidden, targets, probe_seed);
  const torch::NoGradGuard no_grad;
  hidden.backward(head.error, probe_seed.has_value());
  if (probe_seed.has_value()) {
    forward.expect_probe();
    hidden.backward(head.probe);
  }
  return head.losses.sum();
}

}  // namespace elastify
