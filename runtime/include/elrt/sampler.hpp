// Chooses the next token from logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "elrt/export.h"
#include "elrt/result.hpp"

namespace elrt {

// Filters apply in the order of the fields; each keeps at least the most probable token.
struct SamplerOptions {
  float temperature = 0;    // 0: greedy, the smallest id wins a tie; all else is ignored
  std::uint32_t top_k = 0;  // keep the k most probable; 0: all
  float top_p = 1;          // keep the fewest whose probabilities reach p
  float min_p = 0;          // keep those with at least this share of the highest probability
  std::uint64_t seed = 0;
};

class ELRT_API Sampler {
 public:
  // Fails with kInvalidArgument for values outside their ranges.
  static Result<Sampler> create(const SamplerOptions& options);

  // Fails with kBadData if no logit is finite or one is NaN: the weights are damaged.
  Result<std::int32_t> sample(std::span<const float> logits);

 private:
  struct Candidate {
    float logit;
    std::int32_t id;
  };
  explicit Sampler(const SamplerOptions& options) : options_(options), state_(options.seed) {}
  double uniform();
  void keep_top_k();
  void keep_probable();

  SamplerOptions options_;
  std::uint64_t state_;
  std::vector<Candidate> candidates_;  // scratch
  std::vector<double> weights_;
};

}  // namespace elrt
