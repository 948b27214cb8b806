// The full level as teacher: the frozen weights themselves, no copy, no graph.
#pragma once

#include "finetune/batches.h"
#include "model/decoder.h"

namespace elastify {

class Teacher {
 public:
  // Where the final hidden states of all of `text` fit into `cache_bytes`, they are computed once, in a fixed order (so
  // that a resumed run sees the same bits), and serve every level and epoch. `full` and `text` must outlive this
  // object. `workers`: pieces at a time while it is filled.
  Teacher(const Decoder& full, const TokenRows& text, std::int64_t cache_bytes, std::int64_t workers = 1);

  // [counted, vocab] for a batch of `text`.
  torch::Tensor logits(const Batch& batch) const;
  bool cached() const { return cache_.defined(); }
  double cache_seconds() const { return cache_seconds_; }

 private:
  const Decoder& full_;
  torch::Tensor cache_;  // [rows, seq, hidden]
  double cache_seconds_ = 0;
};

// Mean next-token loss over the text's counted targets, in nats. `adapter` may be null. Infinite where it is not
// finite. Read `rows_at_once` rows a pass, `workers` passes at a time; the result does not depend on the workers.
double mean_loss(const Decoder& decoder, const Adapter* adapter, const TokenRows& text, std::int64_t rows_at_once,
                 std::int64_t workers = 1);

}  // namespace elastify
