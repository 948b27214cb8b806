// The training loop: batches from the corpus, AdamW, checkpoints, figures.
#pragma once

#include <functional>
#include <map>

#include "model/decoder.h"
#include "pretrain/corpus.h"
#include "pretrain/flat_model.h"

namespace elastify {

// Of the validation split's questions, with every answer token's rank taken given the right tokens before it.
struct AnswerFigures {
  double loss = 0;   // nats per answer token
  double right = 0;  // share of answers whose every token was the most likely one
  std::int64_t answers = 0;
};

struct PretrainSummary {
  std::int64_t steps = 0, tokens = 0;  // tokens: read in training, padding left out
  std::int64_t weights = 0;
  double seconds = 0;  // of training, all processes together
  double tokens_per_s = 0;
  double flops_per_token = 0;  // forward and backward: 6 per weight, attention added
  double peak_gflops = 0;      // measured: a large matrix product in the same type, times the workers
  double peak_share = 0;       // of that
  double train_loss = 0;       // weighted mean over the last line of metrics.jsonl
  std::map<std::string, AnswerFigures> held_out;  // by family, at the last step
};

struct PretrainJob {
  const PretrainConfig& config;
  const Corpus& corpus;
  FlatModel& model;
  fs::path directory;                                 // work in progress: checkpoint.safetensors, metrics.jsonl
  std::string key;                                    // hash of everything the weights depend on
  std::function<void(std::int64_t step)> after_step;  // for tests
};

// Trains `model` in place. Killed and called again, it goes on from the last checkpoint to the same bits.
// Throws Error(kBadData) where the loss stays infinite.
PretrainSummary run_pretraining(const PretrainJob& job);

AnswerFigures measure_answers(const Decoder& decoder, const std::vector<WeightedDocument>& documents,
                              std::int64_t batch_tokens);

nlohmann::json to_json(const PretrainSummary& summary);

}  // namespace elastify
