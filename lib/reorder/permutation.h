// A checked reordering of units.
#pragma once

#include <cstdint>
#include <vector>

#include "base/torch.h"

namespace elastify {

// order()[new position] = old position. Every value is a bijection on 0..size-1.
class Permutation {
 public:
  // Throws Error(kInternal) if `order` is not a permutation.
  explicit Permutation(std::vector<std::int64_t> order);
  static Permutation identity(std::int64_t size);
  // Highest score first; equal scores keep their order. Throws Error(kBadData) on NaN.
  static Permutation by_falling_score(const torch::Tensor& scores);

  std::int64_t size() const { return static_cast<std::int64_t>(order_.size()); }
  const std::vector<std::int64_t>& order() const { return order_; }
  Permutation inverse() const;

  // Moves units of `unit_width` consecutive entries along `dim`, whose extent is size() * unit_width. A copy; same
  // dtype.
  torch::Tensor apply(const torch::Tensor& tensor, std::int64_t dim, std::int64_t unit_width = 1) const;

 private:
  std::vector<std::int64_t> order_;
};

}  // namespace elastify
