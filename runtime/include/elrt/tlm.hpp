// The tiny language model (TLM) of an artifact: MobileBERT (Sun et al. 2020) or BERT (Devlin et al. 2018) with two
// heads above shared bottom layers.
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
#include "elrt/export.h"
#include "elrt/result.hpp"
#include "elrt/slo.hpp"
#include "elrt/tlm_shape.hpp"
#include "elrt/wordpiece.hpp"

namespace elrt {

struct TlmProposal {
  Decision decision;                               // each head's most probable level, of equals the smaller
  std::vector<float> model_logits, prompt_logits;  // [model_levels], [prompt_levels]
};

// What the decision-head sees of a prompt that is longer than `room` pieces: the first half of the room from its start,
// the rest from its end, where questions stand.
ELRT_API std::vector<WordPieceToken> decision_pieces(std::span<const WordPieceToken> pieces, std::size_t room);

// Move-only; one thread at a time. Keeps the artifact's mapping alive. Results do not depend on threads.
class ELRT_API Tlm {
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
  struct ELRT_HIDDEN Impl;
  ELRT_HIDDEN explicit Tlm(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace elrt
