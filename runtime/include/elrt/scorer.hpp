// The loss of a text at a session's level.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "elrt/result.hpp"
#include "elrt/session.hpp"

namespace elrt {

struct Score {
  double nll = 0;             // mean over the predictions, nats per token
  std::uint64_t tokens = 0;   // predictions: one less than the text's tokens
  double perplexity = 0;      // exp(nll)
};

// Called behind each prediction with the token's index in the text and its loss in nats; may be empty.
using TokenLossCallback = std::function<void(std::size_t index, double nll)>;

// Reads `tokens` in windows of `context` (0: the session's context). Each window starts with the last token of the one
// before it, so that every token after the first is predicted exactly once. Resets the session before and after.
// kInvalidArgument for fewer than two tokens or a context below two; kBadData if the model computes NaN.
Result<Score> score(Session& session, std::span<const TokenId> tokens, std::uint32_t context = 0,
                    const TokenLossCallback& on_token = {});

}  // namespace elrt
