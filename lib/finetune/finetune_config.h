// Settings of the recovery stage, one source for every default.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace elastify {

struct FinetuneConfig {
  std::vector<std::int64_t> levels;  // levels to recover; empty: every level of the plan below 100

  // The adapter (LoRA, Hu et al. 2021).
  std::string adapters = "shared";  // one for all levels, cut to each by the plan; "levels": each level its own
  std::int64_t own_from = 100;      // with a shared one: levels from this on have their own all the same
  std::int64_t rank = 32;
  std::int64_t own_rank = 0;  // of these levels' own adapters; 0: rank
  double alpha = 16;
  double dropout = 0;
  std::vector<std::string> targets = {"q", "k", "v", "o", "gate", "up", "down"};
  bool inherit = true;  // adapters of their own: a level starts from the next larger level's adapter, cut to its units

  // The objective: "distill" follows the full level's next-token distribution, "next_token" the text alone.
  std::string loss = "distill";
  double distill_weight = 1;  // share of the distillation term; the rest goes to the next-token term
  double temperature = 1;     // softens both distributions (Hinton et al. 2015)

  // Steps. `batch_rows` rows a step, read in `accumulation` passes of equal size.
  double learning_rate = 0;  // 0: tried on the model, or by its width, see default_learning_rate()
  bool rate_trials = true;
  std::int64_t steps = 0;  // 0: as many as `epochs` take
  double epochs = 2;
  std::int64_t batch_rows = 8;
  std::int64_t accumulation = 0;  // 0: as many passes as keep one at 1024 tokens; the levels take turns pass by pass
  std::int64_t workers =
      1;  // passes at a time, which share the threads: on a CPU faster than threads inside small products
  std::int64_t seq = 512;           // tokens a row; at most the model's context
  std::int64_t warmup_steps = 100;  // at most a tenth of all steps
  double final_rate = 0.1;          // the cosine ends at this share of the learning rate
  double clip_norm = 1;             // longest gradient, 0: no clipping
  double weight_decay = 0;
  double beta1 = 0.9, beta2 = 0.999;

  // Held-out text (data.held_out, or a share of the documents): how much of it, how often, when to give up.
  std::int64_t held_out_tokens = 16384;  // at most, 0: all; read before and after training
  std::int64_t eval_tokens = 4096;       // of them, read while training
  std::int64_t eval_every = 0;           // steps; 0: at most twenty times, in a twentieth of the time
  std::int64_t patience = 5;             // evaluations without improvement, 0: never stop early

  std::int64_t log_every = 10;     // steps between lines of metrics.jsonl
  double checkpoint_seconds = 60;  // between checkpoints inside a level
  std::string base_dtype = "f32";  // of the artifact that the adapters are for: the sub-models' matrices are rounded as
                                   // pack.dtype rounds them, the teacher's are not
  std::string dtype = "auto";      // of the frozen base: bfloat16 where a CUDA device has it, float32 elsewhere
  std::string products = "auto";   // of a float32 base's matrices in training: "float32", "bfloat16", or bfloat16 where
                                   // the processor multiplies it natively
  std::int64_t teacher_top = 64;   // tokens of the teacher's distribution that are kept at every position

  template <typename V>
  void visit(V& v) {
    v.integers("levels", levels, 1, 99, "levels to recover; empty: every level of the plan below 100");
    v.choice("adapters", adapters, {"shared", "levels"},
             "shared: one for all levels, cut to each by the plan; levels: each level its own");
    v.integer(
        "own_from", own_from, 1, 100,
        "shared: levels from this on have adapters of their own, which the small levels' needs would spoil, each for "
        "its share of the steps; 100: none");
    v.integer("rank", rank, 1, 1024, "of the adapters (LoRA, Hu et al. 2021)");
    v.integer("own_rank", own_rank, 0, 1024,
              "of adapters that levels from own_from on have of their own, whose products would take the time that the "
              "few missing weights save; 0: rank");
    v.number("alpha", alpha, 0, 1e4, "adapters are scaled by alpha / rank, with own_rank too");
    v.number("dropout", dropout, 0, 0.9, "of the adapters' inputs while training");
    v.texts("targets", targets, "projections that have an adapter: q, k, v, o, gate, up, down");
    v.flag("inherit", inherit, "adapters of their own: a level starts from the next larger level's, cut to its units");
    v.choice("loss", loss, {"distill", "next_token"},
             "distill: the full level's next-token distribution; next_token: the text alone");
    v.number("distill_weight", distill_weight, 0, 1,
             "share of the distillation term; the rest goes to the next-token term");
    v.number("temperature", temperature, 0.1, 20, "softens both distributions (Hinton et al. 2015)");
    v.number("learning_rate", learning_rate, 0, 1e3, "0: chosen, see rate_trials");
    v.flag("rate_trials", rate_trials,
           "where learning_rate is 0: short trainings at three rates, an eighth of the time, choose it; false: by the "
           "model's width");
    v.integer("steps", steps, 0, 1'000'000'000, "0: as many as epochs take");
    v.number("epochs", epochs, 0.001, 10000, "passes over the text, where steps is 0");
    v.integer("batch_rows", batch_rows, 1, 1 << 20, "rows a step");
    v.integer(
        "accumulation", accumulation, 0, 1 << 16,
        "passes of equal size in which a step reads its rows, the levels taking turns; 0: so many that one holds at "
        "most 1024 tokens");
    v.integer("workers", workers, 1, 1024, "passes at a time, which share the threads; 1 with dropout");
    v.integer("seq", seq, 2, 1 << 20, "tokens a row; at most the model's context");
    v.integer("warmup_steps", warmup_steps, 0, 1'000'000'000, "at most a tenth of all steps");
    v.number("final_rate", final_rate, 0, 1, "of the learning rate, where the cosine ends");
    v.number("clip_norm", clip_norm, 0, 1e6, "longest gradient; 0: no clipping");
    v.number("weight_decay", weight_decay, 0, 10, "of AdamW");
    v.number("beta1", beta1, 0, 0.9999, "of AdamW");
    v.number("beta2", beta2, 0, 0.999999, "of AdamW");
    v.integer("held_out_tokens", held_out_tokens, 0, 1'000'000'000'000,
              "held-out text that is evaluated before and after training, at most; 0: all");
    v.integer("eval_tokens", eval_tokens, 1, 1'000'000'000'000, "of them, evaluated while training");
    v.integer("eval_every", eval_every, 0, 1'000'000'000,
              "steps between evaluations; 0: at most twenty times, in a twentieth of the time");
    v.integer("patience", patience, 0, 1'000'000, "evaluations without improvement that end a level; 0: none");
    v.integer("log_every", log_every, 1, 1'000'000'000, "steps between lines of metrics.jsonl");
    v.number("checkpoint_seconds", checkpoint_seconds, 0, 1e7, "between checkpoints inside a level");
    v.choice(
        "base_dtype", base_dtype, {"f32", "f16", "bf16", "q8_0", "iq4_nl", "q4_0"},
        "of the artifact that the adapters are for: the sub-models' matrices are rounded as pack.dtype rounds them");
    v.choice("dtype", dtype, {"auto", "float32", "bfloat16", "float64"},
             "of the frozen base; auto: bfloat16 where a CUDA device has it, float32 elsewhere");
    v.choice("products", products, {"auto", "float32", "bfloat16"},
             "of a float32 base's matrices in training; auto: bfloat16 where the processor multiplies it natively");
    v.integer("teacher_top", teacher_top, 1, 1 << 20,
              "likeliest tokens of the teacher that are kept for every position, in teacher/ of the run directory; the "
              "rest counts as one");
  }
};

}  // namespace elastify
