// A training step's passes: batches that run side by side, each into gradients of its own.
#pragma once

#include "model/decoder.h"
#include "model/matrix_product.h"
#include "pretrain/corpus.h"
#include "pretrain/flat_model.h"
#include "pretrain/length_batches.h"
#include "pretrain/pretrain_config.h"

namespace elastify {

// What one pass reads: a copy, since a pool may end inside a step.
struct Pass {
  PaddedBatch batch;
  std::vector<AnswerSpan> values;  // of tasks' answers, as positions of the flattened targets
  std::vector<int> hops;           // of each
};

struct RightCount {
  std::int64_t all = 0, right = 0;
  void operator+=(const RightCount& more) { all += more.all, right += more.right; }
};

struct PassFigures {
  double loss = 0;      // weighted, its share of the step's
  RightCount answers;   // of tasks; right: every token of the value the most likely one
  RightCount two_hops;  // those of two hops
};

class Passes {
 public:
  // The configuration's passes a step over the weights of `model`, its workers at a time. `model` must outlive this.
  Passes(const FlatModel& model, const PretrainConfig& config, ProductType products);

  // Leaves the gradient of the weighted mean loss of all passes in the model's gradients. They are added in their
  // order, so that no result depends on who ran which.
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
