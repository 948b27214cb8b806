#include "finetune/flat_adapter.h"

#include "base/error.h"

namespace elastify {
namespace {

// The next numel(like) values as a leaf of that shape.
torch::Tensor take(const torch::Tensor& values, std::int64_t& offset, const torch::Tensor& like) {
  const torch::Tensor part = values.narrow(0, offset, like.numel()).view(like.sizes()).detach();
  offset += like.numel();
  return part;
}

}  // namespace

Adapter unflatten_adapter(const Adapter& like, const torch::Tensor& values) {
  Adapter adapter = like;
  std::int64_t offset = 0;
  for (auto& block : adapter.blocks) {
    for (auto& pair : block) {
      if (!pair.defined()) continue;
      pair.a = take(values, offset, pair.a);
      pair.b = take(values, offset, pair.b);
    }
  }
  require(offset == values.numel(), "an adapter of {} weights cannot view {} values", offset, values.numel());
  return adapter;
}

FlatAdapter flatten_adapter(const Adapter& adapter) {
  torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> parts;
  for (const auto& parameter : adapter.parameters()) parts.push_back(parameter.detach().flatten());
  require(!parts.empty(), "an adapter without factors cannot be trained");
  const auto dtype = parts[0].scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  FlatAdapter flat;
  flat.values = torch::cat(parts).to(dtype);
  flat.gradients = torch::zeros_like(flat.values);
  flat.adapter = unflatten_adapter(adapter, flat.values);
  std::int64_t offset = 0;
  for (torch::Tensor parameter : flat.adapter.parameters()) {
    parameter.requires_grad_();
    parameter.mutable_grad() = take(flat.gradients, offset, parameter);
  }
  return flat;
}

}  // namespace elastify
