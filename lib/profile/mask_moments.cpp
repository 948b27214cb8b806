#include "profile/mask_moments.h"

namespace elastify {
namespace {

constexpr UnitKind kKinds[] = {UnitKind::kGroup, UnitKind::kNeuron};

std::size_t at(UnitKind kind) { return static_cast<std::size_t>(kind); }

}  // namespace

MaskMoments::MaskMoments(const ModelConfig& config, torch::Device device) {
  const auto options = torch::TensorOptions().dtype(torch::kFloat64).device(device);
  for (const UnitKind kind : kKinds) {
    const std::int64_t units = kind == UnitKind::kGroup ? config.num_kv_heads : config.intermediate_size;
    for (torch::Tensor* sums : {&first_[at(kind)], &second_[at(kind)], &row_squares_[at(kind)]}) {
      *sums = torch::zeros({config.num_layers, units}, options);
    }
  }
}

torch::Tensor MaskMoments::unit_gradients(UnitKind kind, const torch::Tensor& values,
                                          const torch::Tensor& gradients) const {
  const auto wide = values.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const torch::Tensor products = values.to(wide) * gradients.to(wide);
  const std::int64_t units = first(kind).size(1);
  if (products.size(-1) == units) return products;
  return products.reshape({products.size(0), products.size(1), units, -1}).sum(-1);
}

void MaskMoments::add_first_inplace(std::int64_t layer, UnitKind kind, const torch::Tensor& g) {
  const torch::Tensor by_row = g.sum(1).to(torch::kFloat64);
  first_[at(kind)][layer].add_(by_row.sum(0));
  row_squares_[at(kind)][layer].add_(by_row.square().sum(0));
}

void MaskMoments::add_second_inplace(std::int64_t layer, UnitKind kind, const torch::Tensor& g, std::int64_t tokens) {
  torch::Tensor sums = g;
  if (tokens > 1) {
    const std::int64_t blocks = (g.size(1) + tokens - 1) / tokens;
    const torch::Tensor padded = torch::constant_pad_nd(g, {0, 0, 0, blocks * tokens - g.size(1)});
    sums = padded.reshape({g.size(0), blocks, tokens, g.size(2)}).sum(2);
  }
  second_[at(kind)][layer].add_(sums.square().sum(torch::IntArrayRef({0, 1})));
}

Accumulators MaskMoments::accumulators() const {
  Accumulators all;
  for (const UnitKind kind : kKinds) {
    const std::string name = kind == UnitKind::kGroup ? "kv_groups." : "neurons.";
    all[name + "first"] = first(kind);
    all[name + "second"] = second(kind);
    all[name + "row_squares"] = row_squares(kind);
  }
  return all;
}

}  // namespace elastify
