// The dimensions of an artifact's tiny language model (tlm.hpp), as its file states them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace elrt {

inline constexpr std::uint32_t kTlmSegments = 2;  // of its input, see WordPiece::mark_question()
inline constexpr std::uint32_t kTlmSpecialTokens =
    4;  // [CLS], two SLO tokens and [SEP]: positions that pieces cannot have

enum class TlmBodyKind {
  kMobileBert,
  kBert,  // plain: no bottleneck, no trigrams, GELU, every norm with norm_epsilon
};

struct TlmShape {
  TlmBodyKind body = TlmBodyKind::kMobileBert;
  std::uint32_t vocab = 0, embedding = 0, hidden = 0, inner = 0, ffn = 0, heads = 0, feed_forwards = 0, positions = 0;
  std::uint32_t bottom_layers = 0, score_layers = 0, decision_layers = 0;
  bool bottleneck = false, shared_key_query = false, bottleneck_attention = false, trigram_input = false,
       layer_norm = false;
  float norm_epsilon = 0;
  std::vector<std::uint32_t> model_levels, prompt_levels;  // percent, what the decision-head chooses among
  std::vector<std::uint32_t> ttft_levels, tpot_levels;     // percent, what SLO tokens stand for
  std::vector<float> accuracy;  // [model_levels][prompt_levels] to expect of a decision, NaN: unknown; may be empty
  // How much the decision-head is believed next to `accuracy`, which is there then (service.hpp); nothing: it alone
  // counts.
  std::optional<float> head_weight;

  std::uint32_t value_inputs() const { return bottleneck_attention ? inner : hidden; }
  std::uint32_t word_inputs() const { return embedding * (trigram_input ? 3 : 1); }
  bool transforms_words() const { return trigram_input || embedding != hidden; }
};

}  // namespace elrt
