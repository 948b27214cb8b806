#include "pretrain/passes.h"

#include <algorithm>

#include "model/side_by_side.h"

namespace elastify {
namespace {

// Counted positions of a batch on the model's device.
struct Counted {
  torch::Tensor positions, targets, weights;
};
Counted counted_of(const PaddedBatch& batch, torch::Device device) {
  const torch::Tensor flat = batch.targets.flatten();
  const torch::Tensor positions = (flat != kIgnore).nonzero().flatten();
  return {positions.to(device), flat.index_select(0, positions).to(device),
          batch.weights.flatten().index_select(0, positions).to(device)};
}

// States after the last block: [rows, seq, hidden].
torch::Tensor run_blocks(const Decoder& decoder, const torch::Tensor& inputs, ProductType products) {
  ForwardOptions options;
  options.products = products;
  torch::Tensor states = decoder.embed(inputs);
  for (std::int64_t layer = 0; layer < decoder.num_layers(); ++layer) states = decoder.block(layer, states, options);
  return states;
}

torch::Tensor logits_at(const Decoder& decoder, const torch::Tensor& states, const torch::Tensor& positions,
                        ProductType products) {
  return decoder.head(decoder.finish(states.flatten(0, 1).index_select(0, positions)), products);
}

// Logits and the loss's gradient by them: softmax is computed once, and autograd starts at the logits.
struct Loss {
  torch::Tensor logits, gradient;
  double value = 0;
};

Loss next_token_loss(torch::Tensor logits, const torch::Tensor& targets, const torch::Tensor& weights) {
  torch::NoGradGuard no_grad;
  torch::Tensor log = torch::log_softmax(logits.detach(), -1);
  const torch::Tensor index = targets.unsqueeze(-1);
  const double value = -(log.gather(-1, index).squeeze(-1) * weights).sum().item<double>();
  torch::Tensor gradient = log.exp_();
  gradient.scatter_add_(-1, index, torch::full_like(index, -1, gradient.options()));
  gradient.mul_(weights.unsqueeze(-1));
  return {std::move(logits), gradient, value};
}

void count_right(const Pass& pass, const Counted& counted, const torch::Tensor& best, PassFigures& figures) {
  torch::Tensor hits = torch::zeros({pass.batch.targets.numel()}, torch::kBool);
  hits.index_put_({counted.positions.cpu()}, (best == counted.targets).cpu());
  const bool* hit = hits.data_ptr<bool>();
  for (std::size_t i = 0; i < pass.values.size(); ++i) {
    const bool right =
        std::all_of(hit + pass.values[i].begin, hit + pass.values[i].end, [](bool token) { return token; });
    figures.answers += {1, right};
    if (pass.hops[i] > 1) figures.two_hops += {1, right};
  }
}

}  // namespace

Passes::Passes(const FlatModel& model, const PretrainConfig& config, ProductType products)
    : workers_(config.workers), products_(products), device_(model.values[0].device()) {
  for (std::int64_t i = 0; i < config.passes; ++i) {
    FlatModel shared = share_values(model);
    Decoder decoder(shared.weights);
    slots_.push_back({std::move(shared), std::move(decoder)});
  }
}

std::vector<PassFigures> Passes::run(const std::vector<Pass>& passes, FlatModel& model) {
  double total_weight = 0;
  for (const auto& pass : passes) total_weight += pass.batch.weights.sum().item<double>();
  std::vector<PassFigures> figures(passes.size());
  run_side_by_side(passes.size(), static_cast<std::size_t>(workers_),
                   [&](std::size_t i) { figures[i] = one(slots_[i], passes[i], total_weight); });
  torch::NoGradGuard no_grad;
  for (std::size_t buffer = 0; buffer < model.gradients.size(); ++buffer) {
    model.gradients[buffer].copy_(slots_[0].model.gradients[buffer]);
    for (std::size_t i = 1; i < passes.size(); ++i) model.gradients[buffer].add_(slots_[i].model.gradients[buffer]);
  }
  return figures;
}

PassFigures Passes::one(Slot& slot, const Pass& pass, double total_weight) const {
  const Counted counted = counted_of(pass.batch, device_);
  const torch::Tensor weights = counted.weights / total_weight;
  for (auto& gradient : slot.model.gradients) gradient.zero_();
  const torch::Tensor states = run_blocks(slot.decoder, pass.batch.inputs.to(device_), products_);
  const Loss loss =
      next_token_loss(logits_at(slot.decoder, states, counted.positions, products_), counted.targets, weights);
  PassFigures figures;
  figures.loss = loss.value;
  count_right(pass, counted, loss.logits.detach().argmax(-1), figures);
  loss.logits.backward(loss.gradient);
  return figures;
}

}  // namespace elastify
