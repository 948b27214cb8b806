// What FLAP, ShortGPT, attention drop and LaCo's relatives read off one forward pass over calibration text.
#pragma once

#include <vector>

#include "data/dataset.h"
#include "model/decoder.h"

namespace elastify {

// Of the inputs of a projection over all positions read, [layers, inputs], float64; the variance divides by n - 1.
struct InputMoments {
  torch::Tensor mean, variance;
};

struct ActivationStats {
  InputMoments groups;                   // o_proj's inputs: [layers, kv_groups * group_width]
  InputMoments neurons;                  // down_proj's: [layers, neurons]
  std::vector<double> block_cosine;      // per layer, mean over positions of cos(x_in, x_out)
  std::vector<double> attention_cosine;  // of cos(x, x + Attn(norm(x)))
};

// Reads `rows` a few at a time; every position counts.
ActivationStats activation_stats(const Decoder& decoder, const TokenRows& rows);

}  // namespace elastify
