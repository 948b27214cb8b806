// Optimizers over one buffer of a FlatModel, with one interface, so that training and its checkpoints need not know
// which.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/matrix_product.h"

namespace elastify {

class FlatOptimizer {
 public:
  virtual ~FlatOptimizer() = default;
  virtual void step(double learning_rate) = 0;
  // Its own tensors by name: writing to them, and set_steps(), restore a state.
  virtual std::map<std::string, torch::Tensor> state() = 0;
  virtual std::int64_t steps() const = 0;
  virtual void set_steps(std::int64_t steps) = 0;
};

// AdamW (Loshchilov and Hutter 2019). `values` is changed in place by step(), which reads `gradients`; both [weights].
std::unique_ptr<FlatOptimizer> make_adamw(const torch::Tensor& values, const torch::Tensor& gradients, double beta1,
                                          double beta2, double weight_decay);

// Muon (Jordan et al. 2024): the momentum of every matrix is made orthogonal by five Newton-Schulz steps, so that all
// of its directions move alike. Scaled by 0.2 sqrt(max(rows, columns)) as by Liu et al. 2025, so that AdamW's learning
// rates and weight decay fit. `values`, `gradients`: matrices, views of the model's buffers; on CPU and GPU alike.
// `workers` matrices at a time; the bits do not depend on it.
std::unique_ptr<FlatOptimizer> make_muon(std::vector<torch::Tensor> values, std::vector<torch::Tensor> gradients,
                                         double momentum, double weight_decay, ProductType products,
                                         std::int64_t workers = 1);

// The nearest matrix with singular values near one, by the quintic iteration of Jordan et al., which bears bfloat16
// products; [rows, columns] float32.
torch::Tensor orthogonalise(const torch::Tensor& matrix, ProductType products = ProductType::kFloat32);

}  // namespace elastify
