// One batch forward and backward, without weight gradients, into mask moments.
#pragma once

#include <optional>

#include "base/torch.h"
#include "model/decoder.h"
#include "profile/mask_moments.h"

namespace elastify {

// Tokens of a row whose probe gradients of a KV group are summed before they are squared: attention spreads one removal
// over neighbouring tokens, so their responses add up before the loss sees them. Measured on the two sample models.
inline constexpr std::int64_t kGroupBlockTokens = 16;

// Adds one batch and returns its summed loss (scalar tensor on the device, float64). inputs, targets: [batch, seq]
// int64 on the decoder's device. Without `probe_seed`: g from the loss itself, in one backward pass; squares of the
// same g, token by token (the empirical Fisher matrix's diagonal), stand for the curvature. With `probe_seed`:
// activations are scaled as in norm_factor.h, and a second backward pass on the same graph, of a Fisher probe
// (probe_head.h), gives the curvature: an unbiased estimate of the Gauss-Newton matrix's diagonal.
torch::Tensor add_batch_inplace(MaskMoments& moments, const Decoder& decoder, const torch::Tensor& inputs,
                                const torch::Tensor& targets, ProductType products = ProductType::kFloat32,
                                std::optional<std::uint64_t> probe_seed = std::nullopt);

}  // namespace elastify
