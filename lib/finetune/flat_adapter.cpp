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

// The factors become leaves that view the values, their gradients views of zeros.
FlatAdapter with_gradients(const Adapter& like, const torch::Tensor& values) {
  FlatAdapter flat{unflatten_adapter(like, values), values, torch::zeros_like(values)};
  std::int64_t offset = 0;
  for (torch::Tensor parameter : flat.adapter.parameters()) {
    parameter.requires_grad_();
    parameter.mutable_grad() = take(flat.gradients, offset, parameter);
  }
  return flat;
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
  return with_gradients(adapter, torch::cat(parts).to(dtype));
}

CutAdapter cut_leaves(const FlatAdapter& flat, const ModelConfig& config, const LevelWidths& widths) {
  CutAdapter cut{slice_adapter(flat.adapter, config, widths), {}};
  for (auto& block : cut.leaves.blocks) {
    for (LoraPair& pair : block) {
      if (pair.defined()) pair = {pair.a.detach().requires_grad_(), pair.b.detach().requires_grad_()};
    }
  }
  cut.sums = slice_adapter(unflatten_adapter(flat.adapter, flat.gradients), config, widths).parameters();
  return cut;
}

FlatAdapter share_values(const FlatAdapter& flat) { return with_gradients(flat.adapter, flat.values); }

}  // namespace elastify
