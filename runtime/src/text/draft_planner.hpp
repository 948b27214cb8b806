// How many tokens to draft next, from the times and the acceptance seen so far. Decides about speed, never about the
// text.
//
// With acceptance a (the chance that a guess is kept, if those before it were), k guesses give 1 + a + .. + a^k tokens
// for k draft passes and one pass over k + 1 tokens; the k with the most tokens per millisecond is taken, 0 being plain
// decoding.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "elrt/speculation.hpp"

namespace elrt {

class DraftPlanner {
 public:
  explicit DraftPlanner(const SpeculationOptions& options) : options_(options) {}

  std::uint32_t next();  // guesses for the next pass
  // One pass: `drafted` guesses took draft_ms, reading them and one token took verify_ms.
  void record_pass(std::uint32_t drafted, double draft_ms, double verify_ms);
  // How many of a pass's guesses were kept.
  void record_guesses(std::uint32_t drafted, std::uint32_t accepted);

 private:
  // What a pass takes undisturbed: other work on the machine only adds time, so small samples count for more than large
  // ones.
  struct Time {
    double ms = 0;
    bool known = false;
    void add(double sample) {
      const double share = sample < ms ? 0.5 : 0.05;
      ms = known ? ms + share * (std::min(sample, 2 * ms) - ms) : sample;
      known = true;
    }
  };
  double verify_ms(std::uint32_t drafted) const;
  double tokens_per_ms(std::uint32_t drafted) const;
  std::uint32_t best() const;

  SpeculationOptions options_;
  std::array<Time, kMaxDraftTokens + 1> verify_;  // by guesses
  Time draft_;                                    // per guess
  double tried_ = 2, kept_ = 1;                   // guesses, fading; begins in doubt
  std::uint32_t passes_ = 0, plain_in_a_row_ = 0;
};

}  // namespace elrt
