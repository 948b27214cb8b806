// What the cases of this folder share: a tiny frozen model, a half-sized level of it, and text that can be learned.
// LibTorch's logging also defines CHECK: Catch2 comes last and replaces it.
#pragma once

#include "finetune/finetune.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

#undef CHECK
#include <catch2/catch.hpp>

namespace elastify_test {

// Rows that repeat one short pattern: any model can learn them.
inline elastify::TokenRows pattern_rows(std::int64_t rows, std::int64_t seq, std::int64_t shift = 0) {
  const torch::Tensor stream = (torch::arange(rows * (seq + 1), torch::kInt64).view({rows, seq + 1}) + shift) % 7 + 3;
  return {stream.narrow(1, 0, seq).contiguous(), stream.narrow(1, 1, seq).contiguous()};
}

inline elastify::LevelPlan half_level(const elastify::ModelConfig& config, std::int64_t level = 50) {
  elastify::LevelPlan plan;
  plan.level = level;
  const auto layers = static_cast<std::size_t>(config.num_layers);
  plan.widths = {std::vector<std::int64_t>(layers, 1),
                 std::vector<std::int64_t>(layers, config.intermediate_size * level / 100)};
  plan.block_ratio = plan.total_ratio = static_cast<double>(level) / 100;
  return plan;
}

inline elastify::FinetuneConfig quick_config() {
  elastify::FinetuneConfig config;
  config.rank = 4;
  config.adapters = "levels";
  config.dropout = 0.1;
  config.steps = 12;
  config.batch_rows = 4;
  config.accumulation = 2;
  config.eval_every = 3;
  config.log_every = 2;
  config.learning_rate = 5e-3;
  config.checkpoint_seconds = 1e6;
  return config;
}

inline std::vector<elastify::Target> all_targets() {
  using elastify::Target;
  return {Target::kQ, Target::kK, Target::kV, Target::kO, Target::kGate, Target::kUp, Target::kDown};
}

// An adapter whose B is not zero, so that it changes the model.
inline elastify::Adapter busy_adapter(const elastify::ModelWeights& weights, std::uint64_t seed = 3) {
  elastify::Adapter adapter = elastify::make_adapter(weights, all_targets(), 4, 8, 0, seed);
  torch::NoGradGuard no_grad;
  torch::manual_seed(seed);
  for (auto& block : adapter.blocks) {
    for (auto& pair : block) {
      if (!pair.defined()) continue;
      const auto dtype = weights.embedding.scalar_type();
      pair = {pair.a.detach().to(dtype), (torch::randn_like(pair.b.detach()) * 0.2).to(dtype)};
    }
  }
  return adapter;
}

}  // namespace elastify_test
