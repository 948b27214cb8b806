// A latency objective, the decision that answers it, and the time that one takes: the words that scheduler, tiny
// language model and service share.
#pragma once

#include <cstdint>

namespace elrt {

// A request's service-level objective: time to first token and time per output token, not to be exceeded.
struct Slo {
  enum class Unit {
    kRatio,         // of the full model's latency (level 100, whole prompt, no TLM), above 0 and at most 1
    kMilliseconds,  // above 0
  };
  Unit unit = Unit::kRatio;
  double ttft = 1, tpot = 1;
};

struct Decision {
  std::uint32_t model_level = 100;   // percent, one of the artifact's levels
  std::uint32_t prompt_level = 100;  // percent of the prompt's words
  friend bool operator==(const Decision&, const Decision&) = default;
};

struct Latency {
  double ttft_ms = 0, tpot_ms = 0;
};

// An SLO as shares of the full model's times, above 0. One between two levels of the TLM counts as the lower, stricter
// one, one below the lowest as the lowest.
struct SloRatios {
  double ttft = 1, tpot = 1;
};

}  // namespace elrt
