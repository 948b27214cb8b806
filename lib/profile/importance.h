// Importance of every movable unit: an estimate of how much the mean next-token loss grows when the unit is removed.
#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"
#include "model/decoder.h"
#include "profile/resume.h"

namespace elastify {

struct ProfileConfig {
  // fisher     (1/N)(-sum g + 1/2 sum q^2), two backward passes: mask gradients g of the loss (mask_moments.h) and q of
  // a
  //            label-free Fisher probe (mask_pass.h), both corrected for the norm that follows (norm_factor.h); N
  //            counts predictions. Spearman against exact ablation on stories260K and a 656 K model: 0.93 and 0.97 for
  //            neurons, 0.87 and 0.83 for KV groups
  // taylor2    (1/N)(-sum g + 1/2 sum g^2), one backward pass: 0.86 and 0.92, 0.77 and 0.55
  // taylor     (1/N)|sum g|, the published first-order rule |dL/dW . W|, the product summed over the unit's output
  //            weights (its column of down_proj, its columns of o_proj); sum g equals that sum exactly
  // magnitude  L2 norm of all weights that leave with the unit; no text is read
  // random     uniform in [0, 1) by seed; no text is read
  // ablation   the exact loss change, one forward pass per unit (ablation.h): the oracle, for small models
  std::string method = "fisher";
  std::int64_t tokens = 32768;    // calibration tokens: predictions that count
  std::int64_t seq = 256;         // tokens a row
  std::int64_t batch_rows = 8;    // rows a batch: memory grows with it
  std::string products = "auto";  // of the matrices of fisher, taylor2 and taylor, as finetune.products
  // fisher and taylor2: weighs sum g by how far it stands out of its spread over rows (James-Stein, one factor for a
  // layer's neurons and one for all KV groups). Predicts other text better and the calibration text worse.
  bool shrink = false;
  // Units whose estimate is compared with exact ablation: neurons of each layer, and KV groups of all layers together
  // at most four times as many; 0 makes no comparison. Shrinks where the forward passes would cost more than
  // check_tflop.
  std::int64_t check_units = 48;
  std::int64_t check_tokens = 4096;
  double check_tflop = 2;

  template <typename V>
  void visit(V& v) {
    v.choice("method", method, {"fisher", "taylor2", "taylor", "magnitude", "random", "ablation"},
             "fisher and taylor2: second order, from one backward pass (fisher: two); taylor: the published first "
             "order; magnitude: weights alone; random; ablation: exact, for small models");
    v.integer("tokens", tokens, 2, std::int64_t{1} << 40, "calibration tokens that count (prompts are read besides)");
    v.integer("seq", seq, 2, 1 << 20, "tokens a row");
    v.integer("batch_rows", batch_rows, 1, 1 << 20, "rows a batch: memory grows with it");
    v.choice(
        "products", products, {"auto", "float32", "bfloat16"},
        "of matrices in the passes of fisher, taylor2 and taylor; auto: bfloat16 where the processor multiplies it "
        "natively");
    v.flag("shrink", shrink,
           "fisher and taylor2: weighs the first-order term by how far it stands out of its spread over rows");
    v.integer("check_units", check_units, 0, 1 << 20,
              "neurons of each layer whose estimate is compared with exact ablation, and KV groups of all layers at "
              "most four times as many; 0: no comparison");
    v.integer("check_tokens", check_tokens, 2, std::int64_t{1} << 40, "tokens of that comparison");
    v.number("check_tflop", check_tflop, 0, 1e12, "most operations of that comparison, 10^12");
  }
};

// Rows are layers. Float64 on the CPU; nats per token, except for magnitude and random.
struct UnitScores {
  torch::Tensor groups;   // [layers, kv_groups]
  torch::Tensor neurons;  // [layers, neurons]
};

struct ProfilePass {
  UnitScores scores;
  double mean_loss = 0;     // nats per token, of the full model; 0 where no text is read
  std::int64_t tokens = 0;  // predictions that count; 0 where no text is read
  double seconds = 0;       // of this process
};

// Scores by config.method; batches go in the order of `rows`, so a resumed pass gives the same bits. Throws
// Error(kBadData) if the loss is not finite or `rows` predicts nothing.
ProfilePass profile_units(const Decoder& decoder, const TokenRows& rows, const ProfileConfig& config,
                          std::uint64_t seed, const ResumePoint& resume = {});

// Peak of weights, of what autograd keeps of each block (counted as in decoder.cpp and fused.cpp) and of pieces of
// logits, bytes: an estimate from the shapes.
double profile_memory_bytes(const ModelConfig& config, std::int64_t batch_rows, std::int64_t seq,
                            torch::ScalarType dtype, ProductType products);

// Predictions that count in `rows`. Throws Error(kBadData) if there are none.
std::int64_t count_predictions(const TokenRows& rows);

}  // namespace elastify
