// SLOs as tokens: one for every TTFT level and one for every TPOT level, appended to the encoder's vocabulary.
#pragma once

#include <string>
#include <vector>

#include "base/torch.h"

namespace elastify {

// Ids of one request's two tokens.
struct SloIds {
  std::int64_t ttft = 0;
  std::int64_t tpot = 0;
  bool operator==(const SloIds&) const = default;
};

class SloTokens {
 public:
  SloTokens() = default;
  // Ids begin at `vocab_size`: the TTFT levels in rising order, then the TPOT levels. Levels are percent of the full
  // model's time, in [1, 100], strictly rising. Throws Error(kUsage) where they are not.
  SloTokens(std::int64_t vocab_size, std::vector<std::int64_t> ttft_levels, std::vector<std::int64_t> tpot_levels);

  std::int64_t count() const { return static_cast<std::int64_t>(ttft_levels_.size() + tpot_levels_.size()); }
  // An SLO between two levels takes the lower, stricter one; below the lowest the lowest, above the highest the
  // highest. Ratios to the full model's times; throws Error(kUsage) unless both are above 0 (NaN is not).
  SloIds ids(double ttft_ratio, double tpot_ratio) const;
  // "[TTFT 50]", "<TPOT 80>", by id - vocab_size.
  std::vector<std::string> names() const;

 private:
  std::int64_t vocab_size_ = 0;
  std::vector<std::int64_t> ttft_levels_, tpot_levels_;
};

// `count` rows of `width`, mutually orthogonal, each of length `norm`, in float32: what the tokens' embeddings start
// from. Throws Error(kUsage) where count exceeds width.
torch::Tensor orthogonal_rows(std::int64_t count, std::int64_t width, double norm, std::uint64_t seed);

}  // namespace elastify
