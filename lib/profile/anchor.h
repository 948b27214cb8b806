// Anchor layers: those whose removal costs the most. They are kept whole at every level.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/files.h"
#include "base/plot.h"
#include "data/dataset.h"
#include "model/decoder.h"
#include "profile/resume.h"

namespace elastify {

struct AnchorsConfig {
  double share = 0.2;          // of the layers, rounded to the nearest count, at least one unless it is 0
  std::int64_t count = -1;     // layers; -1: by share
  std::int64_t tokens = 8192;  // calibration tokens: predictions that count
  std::int64_t batch_rows = 8;
  std::string products = "auto";  // of the matrices, as finetune.products

  template <typename V>
  void visit(V& v) {
    v.number("share", share, 0, 1,
             "of the layers that are anchors, rounded to the nearest count, at least one unless it is 0");
    v.integer("count", count, -1, 1 << 20, "of anchor layers; -1: by share");
    v.integer("tokens", tokens, 2, std::int64_t{1} << 40, "calibration tokens that count (prompts are read besides)");
    v.integer("batch_rows", batch_rows, 1, 1 << 20, "rows a batch: memory grows with it");
    v.choice("products", products, {"auto", "float32", "bfloat16"},
             "of matrices; auto: bfloat16 where the processor multiplies it natively");
  }
};

// increase(rank) = scale * rank^-exponent, by least squares of the logarithms over the layers whose removal costs
// something, rank 1 being the costliest. r2 is the share of the logarithms' variance explained. layers < 3: nothing was
// fitted.
struct PowerLaw {
  double exponent = 0, scale = 0, r2 = 0;
  std::int64_t layers = 0;
};
PowerLaw fit_power_law(const std::vector<double>& loss_increase);

struct AnchorsResult {
  double base_loss = 0;                  // nats per token, full model
  std::vector<double> loss_increase;     // nats per token, by layer; negative where removal helps
  std::vector<double> standard_error{};  // of each increase, rows being what was sampled; empty: not measured
  std::vector<std::int64_t> anchors;     // layer indexes, ascending
  std::int64_t tokens = 0;               // predictions measured on
  PowerLaw power_law;
};

// How many of `layers` are anchors. Throws Error(kUsage) if count exceeds the layers.
std::int64_t anchor_count(const AnchorsConfig& config, std::int64_t layers);
// The `count` largest increases; of equal ones the lower index. Ascending.
std::vector<std::int64_t> choose_anchors(const std::vector<double>& loss_increase, std::int64_t count);

// The loss over `rows` with each layer replaced by the identity. Costs layers / 2 forward passes; progress is kept
// layer by layer of each batch. Throws Error(kBadData) if a loss is not finite or `rows` predicts nothing.
AnchorsResult find_anchors(const Decoder& decoder, const TokenRows& rows, const AnchorsConfig& config,
                           const ResumePoint& resume = {});

// Peak of weights, the inputs of every layer and pieces of logits, bytes: an estimate from the shapes.
double anchors_memory_bytes(const ModelConfig& config, std::int64_t tokens);

// anchors.json, atomic.
json anchors_to_json(const AnchorsResult& result);
void save_anchors(const fs::path& path, const AnchorsResult& result);
// Throws Error(kBadData) on a damaged file or one of a model with another number of layers.
AnchorsResult load_anchors(const fs::path& path, std::int64_t layers);

// A bar for each layer's increase with its 95 % interval, anchors in a series of their own.
Plot anchors_plot(const AnchorsResult& result);

}  // namespace elastify
