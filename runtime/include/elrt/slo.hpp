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

// How a request is served: the prompt is shortened to `prompt_level` and read at `model_level`, whose logits give the
// first token; all tokens after it are made at `decode_level`, over the keys and values that reading left. So the model
// level alone settles the TTFT, and the decode level alone the TPOT.
struct Decision {
  std::uint32_t model_level = 100;   // percent, one of the artifact's levels
  std::uint32_t prompt_level = 100;  // percent of the prompt's words
  std::uint32_t decode_level = 100;  // percent, one of the artifact's levels, at most model_level

  constexpr Decision() = default;
  constexpr Decision(std::uint32_t model, std::uint32_t prompt) : Decision(model, prompt, model) {}  // one level
  constexpr Decision(std::uint32_t model, std::uint32_t prompt, std::uint32_t decode)
      : model_level(model), prompt_level(prompt), decode_level(decode) {}
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
