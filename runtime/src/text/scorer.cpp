#include "elrt/scorer.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "base/guarded.hpp"

namespace elrt {
namespace {

// -log softmax(logits)[target], summed in double.
double token_loss(std::span<const float> logits, TokenId target) {
  const double highest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - highest);
  return std::log(sum) + highest - logits[static_cast<std::size_t>(target)];
}

constexpr char kNotFinite[] =
    "the model computed a loss that is not finite; its weights are damaged (elrt_engine_verify or elastify inspect "
    "finds them)";

// Predicts window[first + 1..], of which the session has read window[..first - 1]; reads one batch at a time, so that
// logits never need more memory than a batch's.
Result<double> score_rest(Session& session, std::span<const TokenId> window, std::size_t first, std::size_t offset,
                          const TokenLossCallback& on_token) {
  double total = 0;
  const std::size_t predictions = window.size() - 1;
  for (std::size_t begin = first; begin < predictions; begin += session.batch_tokens()) {
    const std::size_t count = std::min<std::size_t>(session.batch_tokens(), predictions - begin);
    std::vector<std::uint32_t> rows(count);
    std::iota(rows.begin(), rows.end(), 0u);
    auto logits = session.forward(window.subspan(begin, count), rows);
    if (!logits) return logits.take_failure();
    for (std::size_t i = 0; i < count; ++i) {
      const double loss = token_loss(logits->subspan(i * session.vocab(), session.vocab()), window[begin + i + 1]);
      if (!std::isfinite(loss)) return bad_data(kNotFinite);
      if (on_token) on_token(offset + begin + i + 1, loss);
      total += loss;
    }
  }
  return total;
}

Result<double> score_window(Session& session, std::span<const TokenId> window, std::size_t offset,
                            const TokenLossCallback& on_token) {
  session.reset();
  return score_rest(session, window, 0, offset, on_token);
}

Result<double> score_window_after_switch(Session& session, std::span<const TokenId> window, std::uint32_t first_level,
                                         CachePolicy policy) {
  const std::uint32_t level = session.level();
  session.reset();
  if (auto done = session.set_level(first_level); !done) return done.take_failure();
  const std::size_t half = window.size() / 2;
  auto read =
      half == 0 ? Result<std::span<const float>>(std::span<const float>{}) : session.forward(window.first(half), {});
  auto switched = session.set_level(level, policy);
  if (!switched) {
    session.reset();
    if (auto back = session.set_level(level); !back) return back.take_failure();
    return switched.take_failure();
  }
  if (!read) return read.take_failure();
  return score_rest(session, window, half, 0, {});
}

Result<void> check_text(const Session& session, std::span<const TokenId> tokens, std::uint32_t context) {
  if (context < 2 || context > session.context_tokens()) {
    return invalid_argument("a scoring context of " + std::to_string(context) +
                            " tokens was asked for, expected 2 to " + std::to_string(session.context_tokens()));
  }
  if (tokens.size() < 2) {
    return invalid_argument("the text has " + std::to_string(tokens.size()) + " tokens; scoring needs at least 2");
  }
  for (const TokenId token : tokens) {
    if (token < 0 || static_cast<std::uint32_t>(token) >= session.vocab()) {
      return invalid_argument("token " + std::to_string(token) + " is not in the vocabulary of " +
                              std::to_string(session.vocab()));
    }
  }
  return {};
}

}  // namespace

Result<Score> score(Session& session, std::span<const TokenId> tokens, std::uint32_t context,
                    const TokenLossCallback& on_token) {
  return guarded("score the text", [&]() -> Result<Score> {
    if (context == 0) context = session.context_tokens();
    if (auto done = check_text(session, tokens, context); !done) return done.take_failure();
    double total = 0;
    for (std::size_t begin = 0; begin + 1 < tokens.size(); begin += context - 1) {
      const std::size_t count = std::min<std::size_t>(context, tokens.size() - begin);
      auto loss = score_window(session, tokens.subspan(begin, count), begin, on_token);
      if (!loss) return loss.take_failure();
      total += loss.value();
    }
    session.reset();
    const auto predictions = tokens.size() - 1;
    const double nll = total / static_cast<double>(predictions);
    return Score{nll, predictions, std::exp(nll)};
  });
}

Result<Score> score_after_switch(Session& session, std::span<const TokenId> tokens, std::uint32_t context,
                                 std::uint32_t first_level, CachePolicy policy) {
  return guarded("score the text", [&]() -> Result<Score> {
    if (context == 0) context = session.context_tokens();
    if (auto done = check_text(session, tokens, context); !done) return done.take_failure();
    if (context < 3 || tokens.size() < 3)
      return invalid_argument("a window of fewer than 3 tokens has no second half to predict");
    double total = 0;
    std::uint64_t predictions = 0;
    for (std::size_t begin = 0; begin + 1 < tokens.size(); begin += context - 1) {
      const auto window = tokens.subspan(begin, std::min<std::size_t>(context, tokens.size() - begin));
      auto loss = score_window_after_switch(session, window, first_level, policy);
      if (!loss) return loss.take_failure();
      total += loss.value();
      predictions += window.size() - 1 - window.size() / 2;
    }
    session.reset();
    const double nll = total / static_cast<double>(predictions);
    return Score{nll, predictions, std::exp(nll)};
  });
}

Result<std::vector<double>> score_tail(Session& session, std::span<const TokenId> tokens, std::size_t from) {
  using Losses = std::vector<double>;
  return guarded("score the answer", [&]() -> Result<Losses> {
    if (from < 1 || from >= tokens.size()) {
      return invalid_argument("losses are asked for from token " + std::to_string(from) + " of " +
                              std::to_string(tokens.size()) +
                              "; expected at least one token before it and one to predict");
    }
    const TokenId last = tokens.back();  // never read, so that forward() does not check it
    if (last < 0 || static_cast<std::uint32_t>(last) >= session.vocab()) {
      return invalid_argument("token " + std::to_string(last) + " is not in the vocabulary of " +
                              std::to_string(session.vocab()));
    }
    const auto inputs = tokens.first(tokens.size() - 1);
    const auto read = session.tokens();
    const auto common = static_cast<std::size_t>(
        std::mismatch(read.begin(), read.end(), inputs.begin(), inputs.end()).first - read.begin());
    const std::size_t kept = std::min(common, from - 1);  // the logits after token from - 1 are needed again
    session.truncate(kept);
    std::vector<std::uint32_t> rows(tokens.size() - from);
    std::iota(rows.begin(), rows.end(), static_cast<std::uint32_t>(from - 1 - kept));
    auto logits = session.forward(inputs.subspan(kept), rows);
    if (!logits) return logits.take_failure();
    Losses losses;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      losses.push_back(token_loss(logits->subspan(i * session.vocab(), session.vocab()), tokens[from + i]));
      if (!std::isfinite(losses.back())) return bad_data(kNotFinite);
    }
    return losses;
  });
}

}  // namespace elrt
