#include "tlm/flat_slots.h"

#include <cmath>

#include "base/error.h"

namespace elastify {

// Betas of BERT's optimizer (Devlin et al. 2018).
void FlatSlots::gather(const std::vector<TlmSlot>& slots, Buffer& buffer, double weight_decay) {
  if (slots.empty()) return;
  std::vector<torch::Tensor> parts;
  for (const auto& slot : slots) parts.push_back(slot.tensor->detach().flatten());
  const auto dtype = parts[0].scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  buffer.values = torch::cat(parts).to(dtype);
  buffer.gradients = torch::zeros_like(buffer.values);
  std::int64_t offset = 0;
  for (const auto& slot : slots) {
    const std::int64_t count = slot.tensor->numel();
    const auto part = [&](const torch::Tensor& whole) {
      return whole.narrow(0, offset, count).view(slot.shape).detach();
    };
    torch::Tensor leaf = part(buffer.values);
    leaf.requires_grad_();
    leaf.mutable_grad() = part(buffer.gradients);
    *slot.tensor = leaf;
    offset += count;
  }
  buffer.optimizer.emplace(buffer.values, buffer.gradients, 0.9, 0.999, weight_decay);
}

FlatSlots::FlatSlots(const std::vector<TlmSlot>& slots, double weight_decay) : slots_(slots) {
  torch::NoGradGuard no_grad;
  require(!slots.empty(), "there is nothing to train");
  std::vector<TlmSlot> matrices, rest;
  for (const auto& slot : slots) (slot.shape.size() > 1 ? matrices : rest).push_back(slot);
  gather(matrices, matrices_, weight_decay);
  gather(rest, rest_, 0);
}

FlatSlots::~FlatSlots() {
  for (const auto& slot : slots_) *slot.tensor = slot.tensor->detach();
}

void FlatSlots::zero_gradients_inplace() {
  for (auto* buffer : {&matrices_, &rest_}) {
    if (buffer->gradients.defined()) buffer->gradients.zero_();
  }
}

double FlatSlots::clip_inplace(double limit) {
  double square = 0;
  for (auto* buffer : {&matrices_, &rest_}) {
    if (buffer->gradients.defined()) square += std::pow(buffer->gradients.norm().item<double>(), 2);
  }
  const double norm = std::sqrt(square);
  if (std::isfinite(norm) && norm > limit) {
    for (auto* buffer : {&matrices_, &rest_}) {
      if (buffer->gradients.defined()) buffer->gradients.mul_(limit / norm);
    }
  }
  return norm;
}

void FlatSlots::step(double learning_rate) {
  for (auto* buffer : {&matrices_, &rest_}) {
    if (buffer->optimizer) buffer->optimizer->step(learning_rate);
  }
}

std::map<std::string, torch::Tensor> FlatSlots::state() const {
  std::map<std::string, torch::Tensor> state;
  const auto add = [&](const std::string& name, const Buffer& buffer) {
    if (!buffer.optimizer) return;
    state[name + ".values"] = buffer.values;
    state[name + ".mean"] = buffer.optimizer->mean();
    state[name + ".square"] = buffer.optimizer->square();
  };
  add("matrices", matrices_);
  add("rest", rest_);
  return state;
}

std::int64_t FlatSlots::steps() const { return (matrices_.optimizer ? matrices_ : rest_).optimizer->steps(); }

void FlatSlots::set_steps(std::int64_t steps) {
  for (auto* buffer : {&matrices_, &rest_}) {
    if (buffer->optimizer) buffer->optimizer->set_steps(steps);
  }
}

}  // namespace elastify
