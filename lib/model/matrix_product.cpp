#include "model/matrix_product.h"

#include "base/error.h"

namespace elastify {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

Tensor product(const Tensor& a, const Tensor& b) {
  if (multiplies_bfloat16(a.device())) return torch::mm(a, b).to(torch::kFloat32);
  return torch::mm(a.to(torch::kFloat32), b.to(torch::kFloat32));
}

struct Bfloat16Linear : Function<Bfloat16Linear> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight) {
    const Tensor rows = x.flatten(0, -2).to(torch::kBFloat16), matrix = weight.to(torch::kBFloat16);
    context->save_for_backward({rows, matrix});
    const Tensor y = product(rows, matrix.t());
    if (x.dim() == 2) return y;  // no view, so that callers may add to it in place
    std::vector<std::int64_t> sizes = x.sizes().vec();
    sizes.back() = weight.size(0);
    return y.view(sizes);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &rows = saved[0], &matrix = saved[1];
    const Tensor dy = gradients[0].flatten(0, -2).to(torch::kBFloat16);
    std::vector<std::int64_t> sizes = gradients[0].sizes().vec();
    sizes.back() = matrix.size(1);
    Tensor dx, dw;
    if (context->needs_input_grad(0)) dx = product(dy, matrix).view(sizes);
    if (context->needs_input_grad(1)) dw = product(dy.t(), rows);
    return {dx, dw};
  }
};

}  // namespace

bool multiplies_bfloat16(torch::Device device) {
  if (device.is_cuda()) return true;
#if defined(__x86_64__)
  return at::hasMKLDNN() && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

ProductType parse_product_type(const std::string& name, torch::Device device, std::int64_t hidden_size) {
  constexpr std::int64_t kWide = 128;  // measured: a recovery at width 64 takes as long in either type
  if (name == "float32") return ProductType::kFloat32;
  if (name == "bfloat16") return ProductType::kBfloat16;
  if (name != "auto") fail_usage("product type '{}' is unknown: expected auto, float32 or bfloat16", name);
  return hidden_size >= kWide && multiplies_bfloat16(device) ? ProductType::kBfloat16 : ProductType::kFloat32;
}

const char* product_type_name(ProductType type) { return type == ProductType::kBfloat16 ? "bfloat16" : "float32"; }

Tensor bfloat16_linear(const Tensor& x, const Tensor& weight) { return Bfloat16Linear::apply(x, weight); }

Tensor linear_product(const Tensor& x, const Tensor& weight, ProductType type) {
  return type == ProductType::kBfloat16 && x.scalar_type() == torch::kFloat32 ? bfloat16_linear(x, weight)
                                                                              : torch::linear(x, weight);
}

}  // namespace elastify
