#include "label/phase_losses.h"

#include <elrt/scorer.hpp>

#include <algorithm>
#include <numeric>

#include "base/runtime_result.h"

namespace elastify {
namespace {

using Tokens = std::span<const std::int32_t>;

double mean_of(double sum, const ScoredTokens& option) {
  return sum / static_cast<double>(option.ids.size() - option.from);
}

// Answers at decode levels, one after the other, over a prompt that the session's level has read.
class DecodedAnswers {
 public:
  explicit DecodedAnswers(elrt::Session& session)
      : session_(session), level_(session.level()), read_(session.tokens().size()) {}
  ~DecodedAnswers() {
    if (session_.level() != level_) (void)session_.set_level(level_);
  }
  DecodedAnswers(const DecodedAnswers&) = delete;
  DecodedAnswers& operator=(const DecodedAnswers&) = delete;

  // Of the option's tokens after its first.
  double loss(const ScoredTokens& option, std::uint32_t decode_level) {
    const Tokens ids(option.ids);
    read_prompt(ids.first(option.from));
    take(session_.set_level(decode_level, elrt::CachePolicy::kReuse));
    read_ = std::min(read_, option.from);
    const auto losses = take(elrt::score_tail(session_, ids, option.from + 1));
    return std::accumulate(losses.begin(), losses.end(), 0.0);
  }

 private:
  // All of `prompt` is in the cache as the session's own level writes it.
  void read_prompt(Tokens prompt) {
    const Tokens held = session_.tokens();
    const auto common = static_cast<std::size_t>(
        std::mismatch(held.begin(), held.end(), prompt.begin(), prompt.end()).first - held.begin());
    if (std::min(common, read_) == prompt.size()) return;
    take(session_.set_level(level_));
    session_.reset();
    take(session_.forward(prompt));
    read_ = prompt.size();
  }

  elrt::Session& session_;
  std::uint32_t level_;
  std::size_t
      read_;  // so many of the session's tokens, from the first on, are in the cache as its own level writes them
};

}  // namespace

std::vector<std::vector<double>> phase_losses(elrt::Session& session, const std::vector<ScoredTokens>& options,
                                              std::span<const std::int64_t> decode_levels) {
  std::vector<double> first, own;  // of every option: its first token's loss, and the mean at the session's level
  for (const auto& option : options) {
    const auto losses = take(elrt::score_tail(session, option.ids, option.from));
    first.push_back(losses.front());
    own.push_back(mean_of(std::accumulate(losses.begin(), losses.end(), 0.0), option));
  }
  DecodedAnswers answers(session);
  std::vector<std::vector<double>> all(decode_levels.size(), own);
  // The largest level first: a session's cache is reused on the way down only.
  std::vector<std::size_t> order(decode_levels.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return decode_levels[a] > decode_levels[b]; });
  const std::uint32_t level = session.level();
  for (const std::size_t d : order) {
    if (decode_levels[d] == static_cast<std::int64_t>(level)) continue;
    for (std::size_t o = 0; o < options.size(); ++o) {
      if (options[o].ids.size() - options[o].from == 1) continue;  // the prompt gives all of it
      all[d][o] =
          mean_of(first[o] + answers.loss(options[o], static_cast<std::uint32_t>(decode_levels[d])), options[o]);
    }
  }
  return all;
}

}  // namespace elastify
