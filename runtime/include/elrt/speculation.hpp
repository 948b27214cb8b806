// Self-speculative decoding: a smaller level of the same weights guesses the next tokens, and the session's level reads
// all of them in one pass. Guesses are kept while they are what the session's level chooses itself, with the same
// random numbers: the text is that of plain decoding for the same seed, greedy or sampled; only its speed differs.
#pragma once

#include <cstdint>

namespace elrt {

struct SpeculationOptions {
  std::uint32_t draft_level = 0;   // percent; 0, or not below the session's level: no drafting
  std::uint32_t draft_tokens = 6;  // guesses in a row at most, 1 to kMaxDraftTokens
  // Drafting goes on only while measured times and acceptance say that it is faster, and is tried again later. False:
  // always draft_tokens guesses, to measure what they cost.
  bool only_if_faster = true;
};

inline constexpr std::uint32_t kMaxDraftTokens = 32;

struct SpeculationReport {
  std::uint32_t drafted = 0, accepted = 0;  // tokens
  std::uint32_t passes = 0;                 // of the session's level, after the prompt's
  double acceptance() const { return drafted == 0 ? 0 : static_cast<double>(accepted) / drafted; }
};

}  // namespace elrt
