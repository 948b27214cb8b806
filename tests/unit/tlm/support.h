// What the cases of this folder share: a tiny encoder and rows of tokens. LibTorch's logging also defines CHECK: Catch2
// comes after it and replaces it.
#pragma once

#include "tlm/dual_head.h"
#include "tlm/tlm_input.h"

#undef CHECK
#include <catch2/catch.hpp>

#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace elastify_test {

inline elastify::TlmConfig tiny_tlm_config(std::int64_t layers = 4) {
  elastify::TlmConfig c;
  c.vocab_size = 40;
  c.embedding_size = 12;
  c.hidden_size = 16;
  c.bottleneck_size = 8;
  c.intermediate_size = 12;
  c.num_layers = layers;
  c.num_heads = 2;
  c.num_feed_forward = 2;
  c.max_positions = 16;
  c.norm = elastify::TlmNorm::kLayer;
  c.attention_dropout = 0;
  return c;
}

// The same size, as BERT has it.
inline elastify::TlmConfig tiny_bert_config(std::int64_t layers = 4) {
  elastify::TlmConfig c = elastify::bert_base_config();
  c.vocab_size = 40;
  c.embedding_size = c.hidden_size = c.bottleneck_size = 16;
  c.intermediate_size = 28;
  c.num_layers = layers;
  c.num_heads = 2;
  c.max_positions = 16;
  c.hidden_dropout = c.attention_dropout = 0;
  return c;
}

inline std::vector<elastify::TlmConfig> tiny_configs(std::int64_t layers = 4) {
  return {tiny_tlm_config(layers), tiny_bert_config(layers)};
}

inline elastify::DualHeadConfig tiny_heads() {
  elastify::DualHeadConfig settings;
  settings.model_levels = {20, 60, 100};
  settings.prompt_levels = {50, 100};
  settings.ttft_levels = {20, 50, 80, 100};
  settings.tpot_levels = {50, 100};
  return settings;
}

// Rows of random words, of the given lengths. A word has one token, or two where `split`.
inline std::vector<elastify::TlmRow> random_rows(const std::vector<std::int64_t>& lengths, std::int64_t vocab,
                                                 std::uint64_t seed, bool split = false) {
  torch::manual_seed(seed);
  std::vector<elastify::TlmRow> rows;
  for (const auto length : lengths) {
    elastify::TlmRow row;
    const torch::Tensor tokens = torch::randint(5, vocab, {length}, torch::kInt64);
    for (std::int64_t i = 0; i < length; ++i) {
      row.tokens.push_back(i == 0 ? 2 : tokens[i].item<std::int64_t>());
      row.words.push_back(i == 0 ? -1 : split ? (i - 1) / 2 : i - 1);
    }
    rows.push_back(row);
  }
  return rows;
}

inline elastify::TlmBatch random_batch(const std::vector<std::int64_t>& lengths, std::int64_t vocab, std::uint64_t seed,
                                       bool split = false) {
  return elastify::make_batch(random_rows(lengths, vocab, seed, split), 0, torch::kCPU);
}

// Every bias and norm weight away from its start, so that it matters.
inline void roughen_inplace(const std::vector<elastify::TlmSlot>& slots, std::uint64_t seed) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(seed);
  for (const auto& slot : slots) *slot.tensor += torch::randn_like(*slot.tensor) * 0.2;
}

inline double difference(const torch::Tensor& a, const torch::Tensor& b) { return (a - b).abs().max().item<double>(); }

}  // namespace elastify_test
