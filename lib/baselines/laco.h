// LaCo (Yang et al. 2024): from the top layer down, up to seven layers collapse into the lowest of them wherever the
// last hidden states of five sentences stay similar.
#pragma once

#include <vector>

#include "model/decoder.h"

namespace elastify {

// What becomes of layer l when layers l+1 .. l+m collapse into it.
enum class LacoReading {
  kMergedDifferences,  // the paper: theta_l + sum_k (theta_{l+k} - theta_l)
  kInPlace             // the released update, which subtracts the layer as changed so far: theta_{l+m}
};

struct LacoResult {
  ModelWeights weights;               // all layers; those that collapsed into others are to be skipped
  std::vector<std::int64_t> removed;  // ascending
  double threshold = 0;               // of the last sweep
};

inline constexpr std::int64_t kLacoLayers = 7;      // that collapse into one at most
inline constexpr std::int64_t kLacoInterval = 1;    // layers down after a merge
inline constexpr double kLacoThreshold = 0.45;      // of the cosine
inline constexpr double kLacoThresholdStep = 0.05;  // down after a sweep that did not remove enough
inline constexpr std::int64_t kLacoSentences = 5;

// Removes exactly `count` layers: sweeps start at the published threshold, and where a sweep ends with too few layers
// removed, the next has a lower one. `sentences`: [sentences, seq] int64. Only matrices are merged, as published; norms
// stay the lowest layer's.
LacoResult laco(const Decoder& full, const torch::Tensor& sentences, std::int64_t count, LacoReading reading);

// Mean over sentences of the cosine of the flattened last hidden states, [sentences, seq, hidden] each.
double hidden_similarity(const torch::Tensor& a, const torch::Tensor& b);

}  // namespace elastify
