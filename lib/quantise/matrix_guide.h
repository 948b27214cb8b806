// What rounding a matrix is to spare: the inputs that matter, from their second moments E[x x'].
//
// Importance is the diagonal, E[x_i^2]: what a change of input i's weight adds to the mean squared output. With `carry`
// the change itself is made good as far as the other inputs can (GPTQ, Frantar et al. 2023; Optimal Brain Compression):
// inputs are rounded in turn, and what rounding input i changed, times carry[i][j], is taken off the weights of inputs
// j after it, which are still to be rounded. With U the upper Cholesky factor of the inverse moments (U' U), carry[i] =
// U[i] / U[i][i]. Levels cut inputs of o and down: an `edge` is where one may end, and nothing is carried across it, so
// that what a level keeps never makes up for weights that it has not, nor counts on them.
#pragma once

#include <cstdint>
#include <vector>

#include "base/torch.h"

namespace elastify {

struct MatrixGuide {
  torch::Tensor importance;  // [inputs], float32, CPU; undefined: all count the same
  torch::Tensor carry;       // [inputs, inputs], float32, CPU, strictly upper; undefined: to the nearest
};

// `moments`: [inputs, inputs], symmetric, not negative definite, CPU; a hundredth of their mean diagonal is added, so
// that little text does not mislead. `edges`: ascending, those at 0 and at the end mean nothing. Throws
// Error(kBadData) where moments are not finite.
MatrixGuide make_guide(const torch::Tensor& moments, const std::vector<std::int64_t>& edges, bool carry);

}  // namespace elastify
