// One pass of a batch of consecutive tokens through a level of the model:
//   x += O(attention(norm(x))), x += down(silu(gate(h)) * up(h)) with h = norm(x), per block; logits = head(norm(x)).
// Families differ in it: ModelShape says how, and what a half adds is normalised where the layer has a norm for it.
// A half of a block without groups, or without neurons, adds nothing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.hpp"
#include "kernels/kernels.hpp"
#include "model/level_view.hpp"
#include "session/activations.hpp"
#include "session/kv_cache.hpp"

namespace elrt {

class Forward {
 public:
  Forward(const Model& model, ThreadPool& pool);

  // Reads `tokens` at positions first.. and appends their keys and values to the cache, which holds
  // room for them. Leaves the hidden states of the last `answers` tokens for logits(): of the others the last layer
  // makes keys and values alone.
  void run(const LevelView& view, KvCache& cache, std::span<const std::int32_t> tokens, std::size_t first,
           std::size_t answers);

  // Whether the text is longer than the model's original context: it turns by other frequencies, cache and all.
  void set_long_text(bool is_long) { long_text_ = is_long; }

  // Logits of the batch's tokens `rows`, all among the last `answers` of run(), [rows.size()][vocab].
  void logits(const LevelView& view, std::span<const std::uint32_t> rows, float* out);

 private:
  struct Projection {
    Target target;
    const Matrix* weights;
    std::uint32_t outputs, inputs;
    Activations* y;
    const float* bias;
    bool accumulate;
  };
  void reserve(std::size_t batch);
  // Has the product read the inputs that its weights' type asks for, next to x.
  void choose_inputs(kernels::Matmul& product);
  bool in_cache(const LevelView& view) const { return view.bytes_per_token() <= cached_bytes_; }
  // A product, and what is added to it: by an adapter's second matrix, or nothing (weights null).
  struct Job {
    kernels::Matmul product;
    kernels::ColumnProduct added;
  };
  // Projections of the same x, adapters included.
  void project(const LevelView& view, std::size_t layer, Activations& x, std::span<const Projection> projections);
  // Jobs that read the same x, which is quantised or rounded first where one asks for it; then one parallel loop: the
  // first `low` jobs make what the others' `added` reads, which is waited for after the others' products.
  void multiply(std::span<const Job> jobs, std::size_t low);
  void normalise(Activations& from, const float* weight, Activations& to);
  void add_normalised(Activations& added, const float* weight);
  void embed(std::size_t token, float* out) const;
  struct Angles {
    std::vector<float> cosines, sines;  // [token][rotary_dim / 2]
  };
  void prepare_rotation(std::span<const float> frequencies, std::size_t first, Angles& angles) const;
  // One head's query or key of the batch's token t, where the layer turns them.
  void rotate(std::size_t layer, std::size_t t, float* head) const;
  void attention_block(const LevelView& view, KvCache& cache, std::size_t layer, std::size_t first);
  // From here on the batch is its last `answers` tokens: the rows that the last layer still needs.
  void keep_last(std::size_t answers);
  void store_keys_values(const LevelView& view, KvCache& cache, std::size_t layer, std::size_t first);
  void attend(const LevelView& view, KvCache& cache, std::size_t layer, std::size_t first);
  void mlp_block(const LevelView& view, std::size_t layer);

  const Model& model_;
  ThreadPool& pool_;
  std::uint64_t cached_bytes_;
  std::size_t reserved_ = 0;  // tokens that the scratch has room for
  std::size_t tokens_ = 0;    // of the current batch
  std::size_t answers_ = 0;   // of them those whose hidden states are wanted
  std::size_t dropped_ = 0;   // of the batch's first tokens, after keep_last()
  Activations x_, h_, q_, k_, v_, attended_, gate_, up_, low_rank_[3], head_in_;
  QuantisedRows quantised_;  // of what the running products read
  RoundedRows rounded_;      // likewise
  Angles angles_, local_angles_;
  bool long_text_ = false;
  std::vector<std::vector<float>> scores_;  // per thread
  std::vector<AlignedFloats> scratch_;  // of the float kernels, per thread; here, since a pool's threads cannot fail
};

}  // namespace elrt
