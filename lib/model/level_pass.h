// A level's forward and backward pass on a CPU, written out: what recovery spends its time in. The adapter is merged
// into a copy of the weights once a step (W + s B A, rounded), so a pass takes the products of a plain sub-model, and
// its gradient is taken from the products' inputs and outputs: dB = s dy^T (x A^T), dA = s (dy B)^T x. Matrices,
// activations between products and their gradients are bfloat16 (or float32, for tests); residual stream, norms,
// softmax and sums of gradients are float32.
#pragma once

#include <array>
#include <vector>

#include "model/adapter.h"
#include "model/decoder.h"

namespace elastify {

// Is there such a pass for these weights: float32 on the CPU, no window shorter than `seq`, and a block as Llama's
// (some layers may not turn)?
bool has_level_pass(const ModelWeights& weights, std::int64_t seq);

class LevelPass {
 public:
  // What the backward pass needs of one block, rows being batch * seq.
  struct BlockTrace {
    torch::Tensor x, after;  // [rows, hidden] float32: the residual stream before each half
    torch::Tensor q, k, v;   // [batch * groups, (queries,) seq, head_dim], rotated
    torch::Tensor mixed;     // [rows, heads * head_dim]
    torch::Tensor gate, up;  // [rows, neurons]
  };
  struct Trace {
    std::int64_t batch = 0, seq = 0;
    std::vector<BlockTrace> blocks;
    torch::Tensor last;  // [rows, hidden] float32, before the final norm
  };

  // `weights` is the full model, float32; what it points to must outlive this object. `type`: float32 or bfloat16.
  LevelPass(const ModelWeights& weights, torch::ScalarType type);

  // Takes over an adapter's present values, null for none; its widths may be any level's. Until then: none.
  void merge(const Adapter* adapter);

  // tokens: [batch, seq] int64. Final hidden states [batch * seq, hidden] in `type` of the sub-model with these widths.
  // With a trace, which is filled, backward() can follow.
  torch::Tensor forward(const torch::Tensor& tokens, const LevelWidths& widths, Trace* trace = nullptr) const;

  // d_states: as forward() returned, the loss's gradient. Adds to `gradients`, float32 tensors shaped as the merged
  // adapter's factors, those of this level's prefix.
  void backward(const Trace& trace, const LevelWidths& widths, const torch::Tensor& d_states,
                const Adapter& gradients) const;

  const torch::Tensor& head() const { return head_; }  // [vocab, hidden] in `type`
  torch::ScalarType type() const { return type_; }

 private:
  using Matrices = std::array<torch::Tensor, 7>;  // by target, of the full model
  struct LevelBlock;                              // views of one level's part
  LevelBlock cut(std::size_t layer, const LevelWidths& widths) const;

  torch::Tensor attention(const LevelBlock& block, const torch::Tensor& x, BlockTrace& trace, std::int64_t batch) const;
  torch::Tensor mlp(const LevelBlock& block, const torch::Tensor& x, BlockTrace& trace) const;
  void attention_backward(const LevelBlock& block, const BlockTrace& trace, std::int64_t batch,
                          const std::array<LoraPair, 7>& gradients, torch::Tensor& d_residual) const;
  void mlp_backward(const LevelBlock& block, const BlockTrace& trace, const std::array<LoraPair, 7>& gradients,
                    torch::Tensor& d_residual) const;

  const ModelWeights& weights_;
  torch::ScalarType type_;
  RotaryTables rotary_;
  torch::Tensor head_;
  std::vector<Matrices> merged_;
  Adapter factors_;  // of the merged adapter, in `type`; no blocks: none
};

}  // namespace elastify
