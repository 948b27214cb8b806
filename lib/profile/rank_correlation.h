// Spearman's rank correlation, the yardstick of an importance estimate.
#pragma once

#include <vector>

namespace elastify {

// Ranks from 1; equal values share the mean of their ranks.
std::vector<double> average_ranks(const std::vector<double>& values);

// Pearson's correlation of the average ranks, in [-1, 1]. NaN where it is undefined: fewer than two values, or all of
// one side equal. Throws Error(kInternal) on different lengths.
double spearman(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace elastify
