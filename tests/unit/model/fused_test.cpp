// Fused float32 operations against the step-by-step ones in float64: values and every gradient.
#include <catch2/catch.hpp>

#include "base/error.h"
#include "model/decoder.h"
#include "model/fused.h"

namespace {

using elastify::Decoder;
using torch::Tensor;

// float32 keeps 24 bits; sums of a few hundred terms lose some of them. Relative to the largest value of the tensor.
constexpr double kTolerance = 2e-6;

void check_close(const Tensor& single, const Tensor& exact) {
  const double scale = exact.abs().max().item<double>() + 1e-30;
  CHECK((single.to(torch::kFloat64) - exact).abs().max().item<double>() <= kTolerance * scale);
}

// Runs f on float32 and float64 leaves of equal values and compares results and gradients under a random cotangent.
template <typename F>
void compare(const std::vector<Tensor>& inputs, F f) {
  std::vector<Tensor> single, exact;
  for (const Tensor& input : inputs) {
    single.push_back(input.to(torch::kFloat32).requires_grad_());
    exact.push_back(single.back().detach().to(torch::kFloat64).requires_grad_());
  }
  const Tensor y = f(single), z = f(exact);
  check_close(y.detach(), z.detach());
  const Tensor cotangent = torch::randn(z.sizes(), torch::kFloat32);
  y.backward(cotangent);
  z.backward(cotangent.to(torch::kFloat64));
  for (std::size_t i = 0; i < single.size(); ++i) check_close(single[i].grad(), exact[i].grad());
}

Tensor rotated(const Tensor& x, const Tensor& cos, const Tensor& sin) {
  const auto halves = x.chunk(2, -1);
  return torch::cat({halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin}, -1);
}

Tensor plain_attention(const Tensor& q, const Tensor& k, const Tensor& v) {
  const std::int64_t repeat = q.size(1) / k.size(1), seq = q.size(2);
  const Tensor keys = k.repeat_interleave(repeat, 1), values = v.repeat_interleave(repeat, 1);
  const Tensor later = torch::ones({seq, seq}, torch::kBool).triu(1);
  const Tensor scores =
      (torch::matmul(q, keys.transpose(-1, -2)) / std::sqrt(static_cast<double>(q.size(3)))).masked_fill(later, -1e300);
  return torch::matmul(torch::softmax(scores, -1), values);
}

}  // namespace

TEST_CASE("a fused norm is the norm, with its gradients", "[model][unit]") {
  torch::manual_seed(1);
  for (const std::int64_t width : {5, 7, 64, 100}) {
    compare({torch::randn({3, 5, width}), torch::randn({width})},
            [](const std::vector<Tensor>& t) { return elastify::rms_norm(t[0], t[1], 1e-5); });
  }
}

TEST_CASE("a fused gated unit is silu(gate) up, with its gradients", "[model][unit]") {
  torch::manual_seed(2);
  for (const std::int64_t width : {1, 31, 5000}) {
    compare({4 * torch::randn({2, width}), torch::randn({2, width})}, [](const std::vector<Tensor>& t) {
      return elastify::may_fuse(t[0]) ? elastify::fused_swiglu(t[0], t[1]) : torch::silu(t[0]) * t[1];
    });
  }
}

TEST_CASE("a fused gated unit closes for good where the gate is far below zero", "[model][unit]") {
  const Tensor gates = torch::tensor({-1e30, -1e4, -300.0, -105.0, -89.0, -50.0, 0.0, 105.0, 1e4, -105.0, -400.0, 89.0,
                                      -88.0, -87.0, 300.0, -2e3, -1e3});
  const Tensor up = torch::full_like(gates, 3).set_requires_grad(true), leaf = gates.clone().set_requires_grad(true);
  const Tensor y = elastify::fused_swiglu(leaf, up);
  y.sum().backward();
  const Tensor exact = torch::silu(gates.to(torch::kFloat64)) * 3;
  CHECK((y.detach().to(torch::kFloat64) - exact).abs().max().item<double>() <= kTolerance * 3e4);
  CHECK(torch::isfinite(leaf.grad()).all().item<bool>());
  CHECK(torch::isfinite(up.grad()).all().item<bool>());
  CHECK(leaf.grad().index_select(0, torch::tensor({0, 1, 2, 3})).abs().max().item<double>() <
        1e-7);  // exp(-88) times a gate of -1e30
}

TEST_CASE("splitting heads turns and transposes, and back in the gradient", "[model][unit]") {
  torch::manual_seed(3);
  const std::int64_t seq = 6, width = 10;
  const Tensor angles = torch::randn({seq, width / 2}, torch::kFloat64);
  compare({torch::randn({2, seq, 3 * width})}, [&](const std::vector<Tensor>& t) {
    const Tensor cos = angles.cos().to(t[0].scalar_type()), sin = angles.sin().to(t[0].scalar_type());
    if (elastify::may_fuse(t[0])) return elastify::fused_split_heads(t[0], width, cos, sin);
    return rotated(t[0].view({2, seq, 3, width}).transpose(1, 2), cos, sin);
  });
  compare({torch::randn({2, seq, 3 * width})}, [&](const std::vector<Tensor>& t) {
    return elastify::may_fuse(t[0]) ? elastify::fused_split_heads(t[0], width, {}, {})
                                    : t[0].view({2, seq, 3, width}).transpose(1, 2);
  });
}

TEST_CASE("fused attention is causal attention with shared groups, with its gradients", "[model][unit]") {
  torch::manual_seed(4);
  for (const std::int64_t seq : {1, 2, 17, 40, 128, 129, 300}) {
    compare({2 * torch::randn({2, 6, seq, 8}), torch::randn({2, 3, seq, 8}), torch::randn({2, 3, seq, 8})},
            [](const std::vector<Tensor>& t) {
              return elastify::may_fuse(t[0]) ? elastify::fused_attention(t[0], t[1], t[2])
                                              : plain_attention(t[0], t[1], t[2]);
            });
  }
}

namespace {

// bfloat16 keeps 8 bits: every operand is off by up to 2^-9, sums of many terms by less. Relative to the tensor's
// largest value.
constexpr double kHalfTolerance = 1e-2;

// As compare(), bfloat16 products against float64 ones.
template <typename F>
void compare_products(const std::vector<Tensor>& inputs, F f) {
  std::vector<Tensor> half, exact;
  for (const Tensor& input : inputs) {
    half.push_back(input.clone().requires_grad_());
    exact.push_back(input.to(torch::kFloat64).requires_grad_());
  }
  const Tensor y = f(half), z = f(exact);
  const Tensor cotangent = torch::randn(z.sizes());
  y.backward(cotangent);
  z.backward(cotangent.to(torch::kFloat64));
  const auto close = [](const Tensor& a, const Tensor& b) {
    REQUIRE(a.scalar_type() == torch::kFloat32);
    CHECK((a.to(torch::kFloat64) - b).abs().max().item<double>() <= kHalfTolerance * b.abs().max().item<double>());
  };
  close(y.detach(), z.detach());
  for (std::size_t i = 0; i < half.size(); ++i) close(half[i].grad(), exact[i].grad());
}

}  // namespace

TEST_CASE("bfloat16 products are the product to bfloat16's precision, with their gradients", "[model][unit]") {
  torch::manual_seed(5);
  const auto product = [](const std::vector<Tensor>& t) {
    return elastify::linear_product(t[0], t[1], elastify::ProductType::kBfloat16);
  };
  compare_products({torch::randn({3, 5, 32}), torch::randn({24, 32})}, product);
  compare_products({torch::randn({7, 1}), torch::randn({1, 1})}, product);
  compare_products({torch::rand({256, 1024}), torch::rand({64, 1024})}, product);  // long sums of one sign
  const Tensor y = product({torch::randn({4, 8}), torch::randn({6, 8}).requires_grad_()});
  REQUIRE_NOTHROW(y.add(1).sum().backward());
  CHECK(elastify::linear_product(torch::ones({2, 2}, torch::kFloat64), torch::ones({2, 2}, torch::kFloat64),
                                 elastify::ProductType::kBfloat16)
            .scalar_type() == torch::kFloat64);
}

TEST_CASE("fused attention with bfloat16 products is causal attention, also over several pieces", "[model][unit]") {
  torch::manual_seed(6);
  for (const std::int64_t seq : {1, 40, 300}) {
    compare_products({torch::randn({2, 4, seq, 8}), torch::randn({2, 2, seq, 8}), torch::randn({2, 2, seq, 8})},
                     [](const std::vector<Tensor>& t) {
                       return elastify::may_fuse(t[0])
                                  ? elastify::fused_attention(t[0], t[1], t[2], elastify::ProductType::kBfloat16)
                                  : plain_attention(t[0], t[1], t[2]);
                     });
  }
}

TEST_CASE("product types are known by name", "[model][unit]") {
  CHECK(elastify::parse_product_type("float32", torch::kCPU, 512) == elastify::ProductType::kFloat32);
  CHECK(elastify::parse_product_type("bfloat16", torch::kCPU, 8) == elastify::ProductType::kBfloat16);
  CHECK(elastify::parse_product_type("auto", torch::kCPU, 64) == elastify::ProductType::kFloat32);
  CHECK_THROWS_AS(elastify::parse_product_type("int3", torch::kCPU, 512), elastify::Error);
}
