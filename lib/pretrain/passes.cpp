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

torch::Tensor counted_logits(const Decoder& decoder, const PaddedBatch& batch, const Counted& counted, torch::Device device, ProductType products) {
  ForwardOptions options;
  options.products = products;
  const torch::Tensor states = decoder.hidden(batch.inputs.to(device), options);
  return decoder.head(states.flatten(0, 1).index_select(0, counted.positions), products);
}

void count_right(const Pass& pass, const Counted& counted, const torch::Tensor& best, PassFigures& figures) {
  torch::Tensor hits = torch::zeros({pass.batch.targets.numel()}, torch::kBool);
  hits.index_put_({counted.positions.cpu()}, (best == counted.targets).cpu());
  const bool* hit = hits.data_ptr<bool>();
  figures.answers = static_cast<std::int64_t>(pass.values.size());
  figures.right = std::count_if(pass.values.begin(), pass.values.end(), [&](const AnswerSpan& value) {
    return std::all_of(hit + value.begin, hit + value.end, [](bool right) { return right; });
  });
}

}  // namespace

Passes::Passes(const FlatModel& model, std::int64_t count, std::int64_t workers, ProductType products)
    : workers_(workers), products_(products), device_(model.values[0].device()) {
  for (std::int64_t i = 0; i < count; ++i) {
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
  const torch::Tensor logits = counted_logits(slot.decoder, pass.batch, counted, device_, products_);
  PassFigures figures;
  torch::Tensor loss, gradient;
  {
    // Softmax is computed once: the gradient is written out and autograd starts at the logits.
    torch::NoGradGuard no_grad;
    count_right(pass, counted, logits.argmax(-1), figures);
    torch::Tensor log = torch::log_softmax(logits.detach(), -1);
    const torch::Tensor index = counted.targets.unsqueeze(-1);
    loss = -(log.gather(-1, index).squeeze(-1) * weights).sum();
    gradient = log.exp_();
    gradient.scatter_add_(-1, index, torch::full_like(index, -1, gradient.options()));
    gradient.mul_(weights.unsqueeze(-1));
  }
  logits.backward(gradient);
  figures.loss = loss.item<double>();
  return figures;
}

}  // namespace elastify
