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
  return {positions.to(device), flat.index_select(0, positions).to(device), batch.weights.flatten().index_select(0, positions).to(device)};
}

// States behind the last block, and behind `first_hop_layer` of them where that is not 0: [rows, seq, hidden] each.
struct States {
  torch::Tensor last, middle;
};
States run_blocks(const Decoder& decoder, const torch::Tensor& inputs, std::int64_t first_hop_layer, ProductType products) {
  ForwardOptions options;
  options.products = products;
  States states{decoder.embed(inputs), {}};
  for (std::int64_t layer = 0; layer < decoder.num_layers(); ++layer) {
    states.last = decoder.block(layer, states.last, options);
    if (layer + 1 == first_hop_layer) states.middle = states.last;
  }
  return states;
}

torch::Tensor logits_at(const Decoder& decoder, const torch::Tensor& states, const torch::Tensor& positions, ProductType products) {
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
    const bool right = std::all_of(hit + pass.values[i].begin, hit + pass.values[i].end, [](bool token) { return token; });
    figures.answers += {1, right};
    if (pass.hops[i] > 1) figures.two_hops += {1, right};
  }
}

std::vector<std::int64_t> first_hop_positions(const Pass& pass) {
  std::vector<std::int64_t> positions;
  for (const FirstHop& hop : pass.first_hops) {
    for (std::size_t at = hop.begin; at < hop.end; ++at) positions.push_back(static_cast<std::int64_t>(at));
  }
  return positions;
}

// Every token of the value is as good as any other: which of them comes first does not matter to the layers above.
Loss first_hop_loss(const Pass& pass, torch::Tensor logits, double weight, PassFigures& figures) {
  torch::NoGradGuard no_grad;
  const torch::Tensor log = torch::log_softmax(logits.detach(), -1).to(torch::kCPU, torch::kFloat32), best = log.argmax(-1);
  torch::Tensor gradient = log.exp();
  const auto logs = log.accessor<float, 2>();
  auto gradients = gradient.accessor<float, 2>();
  double value = 0;
  std::int64_t row = 0;
  for (std::size_t i = 0; i < pass.first_hops.size(); ++i) {
    const FirstHop& hop = pass.first_hops[i];
    const auto share = 1 / static_cast<float>(hop.tokens.size());
    for (std::size_t at = hop.begin; at < hop.end; ++at, ++row) {
      for (const std::int64_t token : hop.tokens) {
        gradients[row][token] -= share;
        value -= weight * share * logs[row][token];
      }
      const bool right = std::find(hop.tokens.begin(), hop.tokens.end(), best[row].item<std::int64_t>()) != hop.tokens.end();
      if (pass.hops[i] > 1) figures.first_hops += {1, right};
    }
  }
  gradient.mul_(weight);
  return {logits, gradient.to(logits.device(), logits.scalar_type()), value};
}

}  // namespace

Passes::Passes(const FlatModel& model, const PretrainConfig& config, ProductType products)
    : workers_(config.workers), first_hop_layer_(config.first_hop_layer), first_hop_weight_(config.first_hop_weight), products_(products), device_(model.values[0].device()) {
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
  run_side_by_side(passes.size(), static_cast<std::size_t>(workers_), [&](std::size_t i) { figures[i] = one(slots_[i], passes[i], total_weight); });
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
  const States states = run_blocks(slot.decoder, pass.batch.inputs.to(device_), first_hop_layer_, products_);
  const Loss last = next_token_loss(logits_at(slot.decoder, states.last, counted.positions, products_), counted.targets, weights);
  PassFigures figures;
  figures.loss = last.value;
  count_right(pass, counted, last.logits.detach().argmax(-1), figures);
  const auto positions = states.middle.defined() ? first_hop_positions(pass) : std::vector<std::int64_t>{};
  if (positions.empty()) {
    last.logits.backward(last.gradient);
    return figures;
  }
  const torch::Tensor middle = logits_at(slot.decoder, states.middle, torch::tensor(positions).to(device_), products_);
  const Loss first_hop = first_hop_loss(pass, middle, first_hop_weight_ / total_weight, figures);
  figures.loss += first_hop.value;
  torch::autograd::backward({last.logits, first_hop.logits}, {last.gradient, first_hop.gradient});
  return figures;
}

}  // namespace elastify
