// The loss head in pieces against whole logits in float64.
#include "profile/probe_head.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "data/targets.h"
#include "profile/probe_kernels.h"

namespace {

using elastify::HeadGradients;
using elastify::ProbeHead;
using elastify::ProductType;
using torch::Tensor;

struct Case {
  Tensor head, x, targets;
};

// Every seventh target is ignored, and logits spread over some 20 nats.
Case make_case(std::int64_t rows, std::int64_t vocab, std::int64_t hidden) {
  torch::manual_seed(rows + vocab);
  Case made{torch::randn({vocab, hidden}), torch::randn({2, rows, hidden}), torch::randint(vocab, {2, rows})};
  made.targets.view({-1}).slice(0, 3, 2 * rows, 7).fill_(elastify::kIgnore);
  return made;
}

struct Whole {
  Tensor losses, error, p;  // [rows], [rows, hidden], [rows, vocab]
};

// From all logits at once, by autograd.
Whole whole_logits(const Case& c) {
  const Tensor x = c.x.to(torch::kFloat64).reshape({-1, c.x.size(-1)}).requires_grad_(true);
  const Tensor logits = torch::matmul(x, c.head.to(torch::kFloat64).t());
  const Tensor losses =
      torch::cross_entropy_loss(logits, c.targets.reshape({-1}), {}, at::Reduction::None, elastify::kIgnore);
  losses.sum().backward();
  return {losses.detach(), x.grad(), torch::softmax(logits.detach(), -1)};
}

Tensor signs_of(std::int64_t rows, std::int64_t vocab, std::uint64_t seed) {
  Tensor signs = torch::empty({rows, vocab});
  for (std::int64_t row = 0; row < rows; ++row)
    elastify::kernels::random_signs(seed, static_cast<std::uint64_t>(row), vocab,
                                    signs.data_ptr<float>() + row * vocab);
  return signs;
}

double worst(const Tensor& found, const Tensor& expected) {
  return (found.to(torch::kFloat64).reshape(expected.sizes()) - expected).abs().max().item<double>() /
         (expected.abs().max().item<double>() + 1e-30);
}

void compare(const Case& c, torch::ScalarType type, ProductType products, double tolerance) {
  const Whole whole = whole_logits(c);
  const ProbeHead head(c.head.to(type), products);
  const HeadGradients found = head.gradients(c.x.to(type), c.targets, 5);
  CHECK(found.error.scalar_type() == type);
  CHECK(worst(found.losses, whole.losses) <= tolerance);
  CHECK(worst(head.losses(c.x.to(type), c.targets), whole.losses) <= tolerance);
  CHECK(worst(found.error, whole.error) <= tolerance);
  const Tensor counts = c.targets.reshape({-1, 1}).ne(elastify::kIgnore).to(torch::kFloat64);
  const Tensor r = whole.p.sqrt() * signs_of(whole.p.size(0), whole.p.size(1), 5).to(torch::kFloat64);
  const Tensor probe = (r - whole.p * r.sum(-1, true)) * counts;
  CHECK(worst(found.probe, torch::matmul(probe, c.head.to(torch::kFloat64))) <= tolerance);
}

}  // namespace

TEST_CASE("a head in pieces is the loss of whole logits, with its gradient and probe", "[profile][unit]") {
  const auto [rows, vocab] = GENERATE(std::pair{1, 5}, std::pair{7, 64}, std::pair{20, 1003}, std::pair{1700, 33});
  const Case c = make_case(rows, vocab, 24);
  compare(c, torch::kFloat64, ProductType::kFloat32, 1e-12);
  compare(c, torch::kFloat32, ProductType::kFloat32, 4e-6);
  if (elastify::multiplies_bfloat16(torch::kCPU)) compare(c, torch::kFloat32, ProductType::kBfloat16, 0.02);
}

TEST_CASE("a head that has nothing to predict gives zeros", "[profile][unit]") {
  Case c = make_case(3, 9, 4);
  c.targets.fill_(elastify::kIgnore);
  const HeadGradients found = ProbeHead(c.head, ProductType::kFloat32).gradients(c.x, c.targets, 1);
  for (const Tensor& t : {found.losses, found.error, found.probe}) CHECK(t.eq(0).all().item<bool>());
}

TEST_CASE("probabilities far below the smallest float are zero", "[profile][unit]") {
  const Tensor head = torch::tensor({1.f, -1.f, 0.f}).view({3, 1}), x = torch::tensor({200.f, -3000.f}).view({2, 1});
  const Tensor targets = torch::tensor({0, 1}, torch::kInt64);
  const HeadGradients found = ProbeHead(head, ProductType::kFloat32).gradients(x, targets, 1);
  CHECK(found.losses.eq(0).all().item<bool>());
  CHECK(found.error.eq(0).all().item<bool>());
  CHECK(torch::isfinite(found.probe).all().item<bool>());
}

TEST_CASE("the probe's covariance is the curvature of the loss in the logits", "[profile][unit]") {
  const Tensor p = torch::tensor({0.1f, 0.2f, 0.3f, 0.4f});
  Tensor covariance = torch::zeros({4, 4}, torch::kFloat64);
  for (int pattern = 0; pattern < 16; ++pattern) {
    Tensor signs = torch::ones({4});
    for (int i = 0; i < 4; ++i) signs[i] = (pattern >> i) % 2 == 0 ? 1 : -1;
    elastify::kernels::probe(p.data_ptr<float>(), 4, signs.data_ptr<float>());
    const Tensor probe = signs.to(torch::kFloat64);
    covariance += torch::outer(probe, probe) / 16;
  }
  const Tensor exact = p.to(torch::kFloat64);
  CHECK(torch::allclose(covariance, torch::diag(exact) - torch::outer(exact, exact), 0, 1e-7));
}

TEST_CASE("signs are as many up as down, and those of rows, columns and seeds have nothing in common",
          "[profile][unit]") {
  const std::int64_t rows = 64, vocab = 1000;
  const Tensor signs = signs_of(rows, vocab, 7).to(torch::kFloat64), others = signs_of(rows, vocab, 8);
  CHECK(signs.abs().eq(1).all().item<bool>());
  // Means of n signs have the standard error 1 / sqrt(n): five of them.
  const auto share = [&](const Tensor& product) { return std::abs(product.mean().item<double>()); };
  CHECK(share(signs) < 5 / std::sqrt(64000.0));
  CHECK(share(signs * others) < 5 / std::sqrt(64000.0));
  CHECK(share(signs.slice(0, 1) * signs.slice(0, 0, rows - 1)) < 5 / std::sqrt(63000.0));
  CHECK(share(signs.slice(1, 1) * signs.slice(1, 0, vocab - 1)) < 5 / std::sqrt(63900.0));
  CHECK(share(signs.slice(1, 64) * signs.slice(1, 0, vocab - 64)) < 5 / std::sqrt(59000.0));
}
