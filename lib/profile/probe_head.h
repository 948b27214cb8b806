// The LM head over the rows whose target counts, in pieces: losses (loss_head.h), and for importance two gradients of
// the same logits, the loss's and a random probe's.
#pragma once

#include <cstdint>
#include <optional>

#include "base/torch.h"
#include "model/matrix_product.h"

namespace elastify {

// Gradients in the head's input, shaped and typed as it; zero in rows that predict nothing.
struct HeadGradients {
  torch::Tensor losses;  // as ProbeHead::losses
  torch::Tensor error;   // of the summed loss
  torch::Tensor probe;   // of a random probe of the logits; undefined where no seed was given
};

class ProbeHead {
 public:
  // head: [vocab, hidden]. With kBfloat16 a float32 head is converted once; its products, and with them the logits, are
  // rounded to bfloat16, which moves a token's loss by some 0.01 nats to either side.
  ProbeHead(const torch::Tensor& head, ProductType products);

  // x: [.., hidden] after the final norm; targets: [..] int64, kIgnore where nothing is to be predicted. One loss per
  // target in nats, float64, 0 where ignored. No gradient is recorded.
  torch::Tensor losses(const torch::Tensor& x, const torch::Tensor& targets) const;

  // The probe's cotangent of a row's logits is r - p sum(r) with r = sqrt(p) * signs: its covariance over the signs is
  // diag(p) - p p', the exact curvature of the loss in the logits, whatever the label. The signs depend on the seed and
  // the row's place in x alone, not on the device, the pieces or the threads.
  HeadGradients gradients(const torch::Tensor& x, const torch::Tensor& targets,
                          std::optional<std::uint64_t> probe_seed) const;

 private:
  torch::Tensor head_;  // in the type of its products
};

// Bytes that ProbeHead::gradients needs at most beyond its arguments and results.
double probe_head_bytes(std::int64_t vocab_size);

}  // namespace elastify
