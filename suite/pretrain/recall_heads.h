// Weights that can recall from the first step on. What a small model needs most, it finds last: that a token which
// stood after an earlier copy of the current one is likely to come again takes thousands of steps to emerge
// ("induction heads", Olsson et al. 2022). Two kinds of heads that do it are written into the initial weights; training
// refines or overwrites them.
#pragma once

#include "pretrain/flat_model.h"

namespace elastify {

// Layer 0, first half of the KV groups: queries and keys see a constant in dimension 0 of every embedding and rotary
// angles make the score highest one token back; values write a projection of that token's embedding into a subspace of
// the residual. Layer 1, the same groups: a query of the current token's projection meets keys that read that subspace,
// in the rotary pairs that turn least, so that distance does not matter; values write the attended token's embedding
// towards the logits. In the blocks touched, nothing else writes to the residual stream. Needs two layers; does nothing
// below that.
void plant_recall_heads(FlatModel& model, std::uint64_t seed);

}  // namespace elastify
