// Matrix products in bfloat16 with float32 on both sides: weights, activations and gradients stay float32, and only the
// operands are rounded on the way in and the product on the way out (mixed precision, Micikevicius et al. 2018).
// Processors that multiply bfloat16 natively take half the time.
#pragma once

#include <string>

#include "base/torch.h"

namespace elastify {

enum class ProductType { kFloat32, kBfloat16 };  // kFloat32: as the tensors are

// Does the device multiply bfloat16 natively, with sums in float32? Elsewhere LibTorch's own loop sums in bfloat16,
// which is too coarse: products of bfloat16 operands are taken in float32 there.
bool multiplies_bfloat16(torch::Device device);

// "auto", "float32" or "bfloat16". auto: bfloat16 where `device` is a GPU or a processor that multiplies it natively
// (AVX-512 BF16) and the model is wide enough to gain from it, else float32. Throws Error(kUsage) on another name.
ProductType parse_product_type(const std::string& name, torch::Device device, std::int64_t hidden_size);
const char* product_type_name(ProductType type);

// x: [.., inputs], weight: [outputs, inputs], both float32: [.., outputs] float32, with gradients for both.
torch::Tensor bfloat16_linear(const torch::Tensor& x, const torch::Tensor& weight);

// torch::linear without bias, by `type`.
torch::Tensor linear_product(const torch::Tensor& x, const torch::Tensor& weight, ProductType type);

}  // namespace elastify
