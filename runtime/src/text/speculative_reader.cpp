#include "text/speculative_reader.hpp"

#include <algorithm>
#include <numeric>
#include <string>

namespace elrt {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace

SpeculativeReader::SpeculativeReader(Session& session, const Sampler& sampler, const SpeculationOptions& options)
    : session_(session),
      sampler_(sampler),
      guesser_(sampler),
      options_(options),
      planner_(options),
      read_(session.tokens().size()) {
  if (options_.draft_level >= session.level()) options_.draft_level = 0;
  planner_ = DraftPlanner(options_);
}

Result<void> SpeculativeReader::check(const Session& session, const SpeculationOptions& options) {
  if (options.draft_level == 0) return {};
  if (options.draft_tokens == 0 || options.draft_tokens > kMaxDraftTokens) {
    return invalid_argument(std::to_string(options.draft_tokens) + " draft tokens were asked for, expected 1 to " +
                            std::to_string(kMaxDraftTokens));
  }
  if (options.draft_level > 100)
    return invalid_argument("a draft level of " + std::to_string(options.draft_level) +
                            " was asked for; levels are percentages");
  const bool smaller = options.draft_level < session.level();
  return smaller ? session.can_draft(options.draft_level) : Result<void>{};
}

Result<std::span<const float>> SpeculativeReader::read(TokenId token, std::size_t further) {
  const std::size_t vocab = session_.vocab();
  if (used_ < batch_.size() && batch_[used_] == token) {
    ++report_.accepted;
  } else {
    close_pass();
    auto done = verify(token, further);
    if (!done) return done;
  }
  ++read_;
  return logits_.subspan(used_++ * vocab, vocab);
}

void SpeculativeReader::finish() { close_pass(); }

// Drops the guesses that were not asked for.
void SpeculativeReader::close_pass() {
  if (batch_.size() > 1)
    planner_.record_guesses(static_cast<std::uint32_t>(batch_.size() - 1), static_cast<std::uint32_t>(used_ - 1));
  session_.truncate(read_);
  batch_.clear();
}

Result<void> SpeculativeReader::draft(TokenId token, std::uint32_t guesses) {
  guesser_ = sampler_;
  for (std::uint32_t i = 0; i < guesses; ++i) {
    auto logits = session_.draft(token, options_.draft_level);
    if (!logits) return logits.take_failure();
    auto guess = guesser_.sample(logits.value());
    if (!guess) break;  // no guess is no failure: the text does not need it
    batch_.push_back(token = guess.value());
  }
  return {};
}

Result<std::span<const float>> SpeculativeReader::verify(TokenId token, std::size_t further) {
  batch_.assign(1, token);
  used_ = 0;
  const std::size_t room = session_.context_tokens() - read_ - 1;
  const auto wanted = static_cast<std::uint32_t>(std::min<std::size_t>({planner_.next(), room, further}));
  const auto start = Clock::now();
  if (auto done = draft(token, wanted); !done) return done.take_failure();
  const double draft_ms = ms_since(start);
  const auto verify_start = Clock::now();
  std::vector<std::uint32_t> rows(batch_.size());
  std::iota(rows.begin(), rows.end(), 0u);
  auto logits = session_.forward(batch_, rows);
  if (!logits) {
    batch_.clear();
    return logits.take_failure();
  }
  logits_ = logits.value();
  const auto guesses = static_cast<std::uint32_t>(batch_.size() - 1);
  planner_.record_pass(guesses, draft_ms, ms_since(verify_start));
  report_.drafted += guesses;
  ++report_.passes;
  return logits_;
}

}  // namespace elrt
