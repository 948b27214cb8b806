#include "pipeline/stage_work.h"

#include <algorithm>

namespace elastify {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

// Of one token's forward pass through the full model; a backward pass through activations alone takes as many again.
double forward(const ModelConfig& model) {
  return 2 * real(model.num_layers * model.weights_per_block() + model.vocab_size * model.hidden_size);
}
// Sums over units and gradients next to the products: measured on SmolLM2-135M against the anchors' passes.
constexpr double kProfileOverhead = 1.5;
// Reading, proving and writing a checkpoint, operations' worth per weight: the same.
constexpr double kPerWeight = 4000;

double weights_of(const ModelConfig& model) {
  return real(model.num_layers * model.weights_per_block() + model.weights_outside_blocks());
}

// Text is rarely longer than this many tokens a task.
constexpr double kTaskTokens = 300, kFamilies = 8;
// What labels of every decode level take, as a multiple of those of one: measured on SmolLM2-135M, six levels, prompts
// of 119 tokens and answers of 5.5.
constexpr double kPhases = 2;
// Small products and single tokens reach a fraction of a large product's speed.
constexpr double kSlow = 10;

double levels(const PipelineConfig& config) {
  const auto& chosen = config.label.model_levels;
  return static_cast<double>(chosen.empty() ? config.reorder.levels.size() : chosen.size());
}

double tlm_steps(const PipelineConfig& config, double steps) {
  const TlmBodyConfig& size = config.tlm.model.size;
  const double weights = real(size.num_layers * size.hidden_size * (3 * size.hidden_size + 4 * size.intermediate_size));
  return kSlow * 6 * weights * real(config.tlm.model.batch_rows) * kTaskTokens * steps;
}

}  // namespace

double sample_work(const PipelineConfig& config, const ModelConfig& model) {
  return kSlow * forward(model) * real(config.data.sample_documents * config.data.sample_tokens);
}

double profile_work(const PipelineConfig& config, const ModelConfig& model) {
  const double passes = config.profile.method == "fisher" ? 3 : 2;
  const double check =
      std::min(config.profile.check_tflop * 1e12, real(model.num_layers * config.profile.check_units) * forward(model) /
                                                      2 * real(config.profile.check_tokens));
  return kProfileOverhead * passes * forward(model) * real(config.profile.tokens) + check;
}

double anchors_work(const PipelineConfig& config, const ModelConfig& model) {
  // Each layer in turn is left out: those above it and the head run again.
  const double blocks = real(model.num_layers + 1) / 2 * real(model.num_layers * model.weights_per_block());
  return 2 * (blocks + real(model.num_layers + 1) * real(model.vocab_size * model.hidden_size)) *
         real(config.anchors.tokens);
}

double reorder_work(const PipelineConfig& config, const ModelConfig& model) {
  double measured = 0;
  if (config.reorder.kind == "measured") {
    // Four kinds of cut in every layer are looked at once, and about two for each of four cuts a layer; half of the
    // layers run each time.
    measured = real(12 * model.num_layers) / 2 * forward(model) * real(config.reorder.measured.tokens);
  }
  return kPerWeight * weights_of(model) + measured;
}

double finetune_work(const PipelineConfig& config, const ModelConfig& model) {
  const FinetuneConfig& f = config.finetune;
  const double steps = f.steps > 0 ? real(f.steps) : 400;
  const double head = 2 * real(model.vocab_size * model.hidden_size), blocks = forward(model) - head;
  double passes = 0, count = 0;  // operations a token, by level: forward, backward and gradients, and the teacher
  for (const std::int64_t level : f.levels.empty() ? config.reorder.levels : f.levels) {
    if (level == 100) continue;
    passes += 3 * (blocks * real(level) / 100 + head) + forward(model);
    ++count;
  }
  if (f.adapters == "shared") passes /= std::max(1.0, count);  // the levels take turns
  return passes * steps * real(f.batch_rows * std::min(f.seq, model.max_positions));
}

double pack_work(const PipelineConfig&, const ModelConfig& model) { return kPerWeight * weights_of(model); }

double train_score_work(const PipelineConfig& config, const ModelConfig& model) {
  const auto& t = config.tlm;
  const double steps =
      real(t.model.score.steps + (t.model.body.empty() ? t.model.masked.steps + t.model.joint.steps : 0));
  const double words = t.pairs.empty() ? real(t.word_items) * kFamilies * 10 * kTaskTokens * forward(model) : 0;
  constexpr double kSentences = 8, kQuestionTokens = 250;  // about what Dolly's and BoolQ's questions have
  const double questions = real(t.question_items) * static_cast<double>(t.questions.size()) * (1 + kSentences) *
                           kQuestionTokens * forward(model);
  return words + questions + tlm_steps(config, steps);
}

double label_work(const PipelineConfig& config, const ModelConfig& model) {
  const double tasks =
      kFamilies * real(config.label.train_items + config.label.validation_items + config.label.test_items);
  return (config.label.phases ? kPhases : 1) * tasks * levels(config) * 0.6 *
         static_cast<double>(config.label.prompt_levels.size()) * 0.6 * kTaskTokens * forward(model);
}

double train_tlm_work(const PipelineConfig& config, const ModelConfig&) {
  return 2 * tlm_steps(config, real(config.tlm.model.decision.steps));
}

double compare_work(const PipelineConfig& config, const ModelConfig& model) {
  const double asked_again =
      real(config.label.repeats - 1) * (config.label.phases ? kPhases : 1) * 0.6 * levels(config);
  return (3 + asked_again) * kFamilies * real(config.label.test_items) *
         static_cast<double>(config.label.prompt_levels.size()) * 0.6 * kTaskTokens * forward(model);
}

}  // namespace elastify
