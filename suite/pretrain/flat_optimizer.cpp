#include "pretrain/flat_optimizer.h"

#include <algorithm>
#include <cmath>

#include "model/side_by_side.h"
#include "train/flat_adamw.h"

namespace elastify {
namespace {

class AdamW final : public FlatOptimizer {
 public:
  AdamW(const torch::Tensor& values, const torch::Tensor& gradients, double beta1, double beta2, double weight_decay)
      : optimizer_(values, gradients, beta1, beta2, weight_decay) {}
  void step(double learning_rate) override { optimizer_.step(learning_rate); }
  std::map<std::string, torch::Tensor> state() override {
    return {{"mean", optimizer_.mean()}, {"square", optimizer_.square()}};
  }
  std::int64_t steps() const override { return optimizer_.steps(); }
  void set_steps(std::int64_t steps) override { optimizer_.set_steps(steps); }

 private:
  FlatAdamW optimizer_;
};

class Muon final : public FlatOptimizer {
 public:
  Muon(std::vector<torch::Tensor> values, std::vector<torch::Tensor> gradients, double momentum, double weight_decay,
       ProductType products, std::int64_t workers)
      : values_(std::move(values)),
        gradients_(std::move(gradients)),
        momentum_(momentum),
        weight_decay_(weight_decay),
        products_(products),
        workers_(static_cast<std::size_t>(workers)) {
    for (const auto& value : values_) means_.push_back(torch::zeros_like(value));
  }

  void step(double learning_rate) override {
    ++steps_;
    run_side_by_side(values_.size(), workers_, [&](std::size_t i) {
      const torch::NoGradGuard no_grad;  // a setting of each thread
      means_[i].lerp_(gradients_[i], 1 - momentum_);
      const torch::Tensor direction =
          orthogonalise(gradients_[i].lerp(means_[i], momentum_), products_);  // Nesterov's look ahead
      const double scale = 0.2 * std::sqrt(static_cast<double>(std::max(direction.size(0), direction.size(1))));
      torch::Tensor value = values_[i].detach();
      value.mul_(1 - learning_rate * weight_decay_).add_(direction, -learning_rate * scale);
    });
  }

  std::map<std::string, torch::Tensor> state() override {
    std::map<std::string, torch::Tensor> all;
    for (std::size_t i = 0; i < means_.size(); ++i) all["mean." + std::to_string(i)] = means_[i];
    return all;
  }
  std::int64_t steps() const override { return steps_; }
  void set_steps(std::int64_t steps) override { steps_ = steps; }

 private:
  std::vector<torch::Tensor> values_, gradients_, means_;
  double momentum_, weight_decay_;
  ProductType products_;
  std::size_t workers_;
  std::int64_t steps_ = 0;
};

}  // namespace

std::unique_ptr<FlatOptimizer> make_adamw(const torch::Tensor& values, const torch::Tensor& gradients, double beta1,
                                          double beta2, double weight_decay) {
  return std::make_unique<AdamW>(values, gradients, beta1, beta2, weight_decay);
}

std::unique_ptr<FlatOptimizer> make_muon(std::vector<torch::Tensor> values, std::vector<torch::Tensor> gradients,
                                         double momentum, double weight_decay, ProductType products,
                                         std::int64_t workers) {
  return std::make_unique<Muon>(std::move(values), std::move(gradients), momentum, weight_decay, products, workers);
}

torch::Tensor orthogonalise(const torch::Tensor& matrix, ProductType products) {
  constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;  // of the published iteration
  const bool tall = matrix.size(0) > matrix.size(1);        // products over the shorter side are cheaper
  torch::Tensor x = tall ? matrix.t() : matrix;
  x = x / (x.norm() + 1e-7);
  if (products == ProductType::kBfloat16) x = x.to(torch::kBFloat16);
  for (int i = 0; i < 5; ++i) {
    const torch::Tensor square = torch::mm(x, x.t());
    x = torch::addmm(x, torch::addmm(square, square, square, kB, kC), x, kA);
  }
  x = x.to(torch::kFloat32);
  return tall ? x.t() : x;
}

}  // namespace elastify
