// The tiny language model (TLM) of an artifact: MobileBERT (Sun et al. 2020) with two heads above shared bottom layers.
//   decision-head  model level and prompt level for a prompt under an SLO, read from the first position
//   score-head     the probability of each word to be kept
// Both read the row [CLS] [TTFT] <TPOT> pieces [SEP], special tokens in segment 0; the bottom layers' states are
// computed once and used by both. Weights are used as mapped, activations are float32.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "elrt/artifact.hpp"
#include "elrt/result.hpp"
#include "elrt/slo.hpp"
#include "elrt/wordpiece.hpp"

namespace elrt {

inline constexpr std::uint32_t kTlmSegments = 2;  // of its input, see WordPiece::mark_question()
inline constexpr std::uint32_t kTlmSpecialTokens =
    4;  // [CLS], two SLO tokens and [SEP]: positions that pieces cannot have

struct TlmShape {
  std::uint32_t vocab = 0, embedding = 0, hidden = 0, inner = 0, ffn = 0, heads = 0, feed_forwards = 0, positions = 0;
  std::uint32_t bottom_layers = 0, score_layers = 0, decision_layers = 0;
  bool bottleneck = false, shared_key_query = false, bottleneck_attention = false, trigram_input = false,
       layer_norm = false;
  float norm_epsilon = 0;
  std::vector<std::uint32_t> model_levels, prompt_levels;  // percent, what the decision-head chooses among
  std::vector<std::uint32_t> ttft_levels, tpot_levels;     // percent, what SLO tokens stand for
  std::vector<float> accuracy;  // [model_levels][prompt_levels] to expect of a decision, NaN: unknown; may be empty

  std::uint32_t value_inputs() const { return bottleneck_attention ? inner : hidden; }
  std::uint32_t word_inputs() const { return embedding * (trigram_input ? 3 : 1); }
  bool transforms_words() const { return trigram_input || embedding != hidden; }
};

struct TlmProposal {
  Decision decision;                               // each head's most probable level, of equals the smaller
  std::vector<float> model_logits, prompt_logits;  // [model_levels], [prompt_levels]
};

// What the decision-head sees of a prompt that is longer than `room` pieces: the first half of the room from its start,
// the rest from its end, where questions stand.
std::vector<WordPieceToken> decision_pieces(std::span<const WordPieceToken> pieces, std::size_t room);

// Move-only; one thread at a time. Keeps the artifact's mapping alive. Results do not depend on threads.
class Tlm {
 public:
  // kInvalidArgument where the artifact has none. `threads` 0: one per core.
  static Result<Tlm> create(const Artifact& artifact, std::uint32_t threads = 0);

  Tlm(Tlm&&) noexcept;
  Tlm& operator=(Tlm&&) noexcept;
  ~Tlm();

  const TlmShape& shape() const;
  const WordPiece& wordpiece() const;
  std::uint32_t max_pieces() const;  // that one row holds

  // Runs the bottom layers and the decision-head. kInvalidArgument for ratios that are not above 0 and for pieces of
  // another vocabulary; kBadData if the model computes NaN or infinity.
  Result<TlmProposal> decide(const WordPieces& prompt, SloRatios slo);

  // Per word of the prompt, 0..1; 0 for a word without tokens. A prompt longer than max_pieces() goes in chunks that
  // overlap by a quarter (compression.hpp). Where decide() has just read the same row its bottom states are used again.
  // Failures as above.
  Result<std::vector<float>> score_words(const WordPieces& prompt, SloRatios slo);

 private:
  struct Impl;
  explicit Tlm(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace elrt
