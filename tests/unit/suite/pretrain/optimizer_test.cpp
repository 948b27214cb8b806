// Muon's parts against linear algebra by other means.
#include "pretrain/flat_optimizer.h"

#undef CHECK
#include <catch2/catch.hpp>

using namespace elastify;

TEST_CASE("orthogonalising keeps directions and brings their lengths near one", "[pretrain][unit]") {
  torch::manual_seed(5);
  for (const auto& [rows, columns] : {std::pair<std::int64_t, std::int64_t>{12, 5}, {5, 12}, {8, 8}}) {
    const torch::Tensor matrix = torch::randn({rows, columns});
    const auto [u, s, vh] = torch::linalg_svd(matrix, false);
    const torch::Tensor inside = torch::mm(torch::mm(u.t(), orthogonalise(matrix)), vh.t());
    const torch::Tensor lengths = inside.diag();
    CHECK((inside - lengths.diag()).abs().max().item<double>() < 1e-4);  // float32, five steps
    // The published iteration ends between 0.7 and 1.2 unless a direction was very short before.
    CHECK(lengths.max().item<double>() < 1.3);
    CHECK(lengths.max().item<double>() > 0.65);
    CHECK(lengths.min().item<double>() > 0.2);
  }
}

TEST_CASE("a step of Muon is momentum, orthogonal, scaled, with decay", "[pretrain][unit]") {
  torch::manual_seed(6);
  const torch::Tensor value = torch::randn({4, 9}), gradient = torch::randn({4, 9}), before = value.clone();
  const auto muon = make_muon({value}, {gradient}, 0.9, 0.1, elastify::ProductType::kFloat32);
  muon->step(0.01);
  // First step: mean = 0.1 g, looking ahead 0.1 g + 0.9 x 0.1 g = 0.19 g; orthogonalising forgets the factor.
  const torch::Tensor expected = before * (1 - 0.01 * 0.1) - 0.01 * 0.2 * std::sqrt(9.0) * orthogonalise(gradient);
  CHECK((value - expected).abs().max().item<double>() < 1e-6);
  CHECK(muon->steps() == 1);
  CHECK((muon->state().at("mean.0") - 0.1 * gradient).abs().max().item<double>() < 1e-6);
}

TEST_CASE("a restored optimizer goes on to the same bits", "[pretrain][unit]") {
  torch::manual_seed(7);
  const torch::Tensor gradient = torch::randn({4, 3}), start = torch::randn({4, 3});
  for (const bool muon : {true, false}) {
    const auto make = [&](const torch::Tensor& value) {
      return muon ? make_muon({value}, {gradient}, 0.9, 0.1, elastify::ProductType::kFloat32)
                  : make_adamw(value, gradient, 0.9, 0.98, 0.1);
    };
    const torch::Tensor whole = start.clone(), first = start.clone();
    const auto straight = make(whole), early = make(first);
    for (int i = 0; i < 3; ++i) straight->step(0.01);
    early->step(0.01);
    const torch::Tensor second = first.clone();
    const auto late = make(second);
    for (auto& [name, tensor] : late->state()) torch::Tensor(tensor).copy_(early->state().at(name));
    late->set_steps(early->steps());
    for (int i = 0; i < 2; ++i) late->step(0.01);
    CHECK(torch::equal(whole, second));
  }
}
