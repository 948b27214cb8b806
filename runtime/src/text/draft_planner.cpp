#include "text/draft_planner.hpp"

#include <algorithm>

namespace elrt {
namespace {

// The first passes find out what passes cost: plain ones, then guesses by doubling numbers.
constexpr std::uint32_t kPlainFirst = 2, kProbes = 3;
// Drafting that did not pay is tried again after so many plain passes: costs little, and texts change.
constexpr std::uint32_t kRetry = 48;
// Less gain than this is within what times can tell.
constexpr double kLeastGain = 1.05;

}  // namespace

std::uint32_t DraftPlanner::next() {
  const std::uint32_t pass = passes_++;
  if (options_.draft_level == 0) return 0;
  if (!options_.only_if_faster) return options_.draft_tokens;
  if (pass < kPlainFirst) return 0;
  if (pass < kPlainFirst + kProbes) return std::min(options_.draft_tokens, 1u << (pass - kPlainFirst));
  if (plain_in_a_row_ >= kRetry) return std::min(options_.draft_tokens, 2u);
  return best();
}

void DraftPlanner::record_pass(std::uint32_t drafted, double draft_ms, double verify_ms) {
  plain_in_a_row_ = drafted == 0 ? plain_in_a_row_ + 1 : 0;
  verify_[drafted].add(verify_ms);
  if (drafted > 0) draft_.add(draft_ms / drafted);
}

void DraftPlanner::record_guesses(std::uint32_t drafted, std::uint32_t accepted) {
  constexpr double kFade = 0.9;  // per pass
  if (drafted == 0) return;
  tried_ = kFade * tried_ + std::min(drafted, accepted + 1);  // guesses after the first wrong one tell nothing
  kept_ = kFade * kept_ + accepted;
}

// Between the measured neighbours; beyond the last, along the line from plain decoding.
double DraftPlanner::verify_ms(std::uint32_t drafted) const {
  if (verify_[drafted].known) return verify_[drafted].ms;
  std::uint32_t low = drafted, high = drafted;
  while (low > 0 && !verify_[low].known) --low;
  while (high < verify_.size() && !verify_[high].known) ++high;
  if (high == verify_.size()) {
    high = low;
    low = 0;
    if (high == 0) return verify_[0].ms * (1 + drafted);
  }
  const double share = static_cast<double>(drafted - low) / (high - low);
  return verify_[low].ms + share * (verify_[high].ms - verify_[low].ms);
}

double DraftPlanner::tokens_per_ms(std::uint32_t drafted) const {
  const double acceptance = kept_ / tried_;
  double tokens = 1, chance = 1;
  for (std::uint32_t i = 0; i < drafted; ++i) tokens += chance *= acceptance;
  return tokens / std::max(1e-9, drafted * draft_.ms + verify_ms(drafted));
}

std::uint32_t DraftPlanner::best() const {
  std::uint32_t best = 0;
  for (std::uint32_t k = 1; k <= options_.draft_tokens; ++k) {
    if (tokens_per_ms(k) > tokens_per_ms(best)) best = k;
  }
  return tokens_per_ms(best) > kLeastGain * tokens_per_ms(0) ? best : 0;
}

}  // namespace elrt
