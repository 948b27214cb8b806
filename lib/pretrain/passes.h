// A training step's passes: batches that run side by side, each into gradients of its own.
#pragma once

#include "model/decoder.h"
#include "model/matrix_product.h"
#include "pretrain/corpus.h"
#include "pretrain/flat_model.h"
#include "pretrain/length_batches.h"

namespace elastify {

// What one pass reads: a copy, since a pool may end inside a step.
struct Pass {
  PaddedBatch batch;
  std::vector<AnswerSpan> values;  // of tasks' answers, as positions of the flattened targets
};

struct PassFigures {
  double loss = 0;                      // weighted, its share of the step's
  std::int64_t answers = 0, right = 0;  // of tasks; right: every token of the value the most likely one
};

class Passes {
 public:
  // `count` passes a step over the weights of `model`, `workers` at a time. `model` must outlive this.
  Passes(const FlatModel& model, std::int64_t count, std::int64_t workers, ProductType products);

  // Leaves the gradient of the weighted mean loss of all passes in the model's gradients. They are added in their order,
  // so that no result depends on who ran which.
  std::vector<PassFigures> run(const std::vector<Pass>& passes, FlatModel& model);

 private:
  struct Slot {
    FlatModel model;  // gradients of its own, shared values
    Decoder decoder;
  };
  PassFigures one(Slot& slot, const Pass& pass, double total_weight) const;

  std::vector<Slot> slots_;
  std::int64_t workers_;
  ProductType products_;
  torch::Device device_;
};

}  // namespace elastify
