// The loss of a text at a session's level.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "elrt/export.h"
#include "elrt/result.hpp"
#include "elrt/session.hpp"

namespace elrt {

struct Score {
  double nll = 0;            // mean over the predictions, nats per token
  std::uint64_t tokens = 0;  // predictions: one less than the text's tokens
  double perplexity = 0;     // exp(nll)
};

// Called after each prediction with the token's index in the text and its loss in nats; may be empty.
using TokenLossCallback = std::function<void(std::size_t index, double nll)>;

// Reads `tokens` in windows of `context` (0: the session's context). Each window starts with the last token of the one
// before it, so that every token after the first is predicted exactly once. Resets the session before and after.
// kInvalidArgument for fewer than two tokens or a context below two; kBadData if the model computes NaN.
ELRT_API Result<Score> score(Session& session, std::span<const TokenId> tokens, std::uint32_t context = 0,
                             const TokenLossCallback& on_token = {});

// The losses of tokens[from..] in nats, each predicted from all tokens before it: an answer after its prompt. What the
// session has read of `tokens` already is not read again, so that answers to one prompt cost their own tokens, whatever
// the order of the calls; the losses are the same either way, bit for bit. Holds (tokens.size() - from) x vocab logits.
// kInvalidArgument unless 1 <= from < tokens.size(), for too many tokens and for an unknown one; kBadData if the model
// computes NaN.
ELRT_API Result<std::vector<double>> score_tail(Session& session, std::span<const TokenId> tokens, std::size_t from);

// What a level change in the middle of a text costs. Of each window the first half is read at level `first_level`, then
// the session changes to its own level with `policy`, and the second half is predicted. Windows as in score(); `tokens`
// counts the predictions. Fails like score() and set_level(); the session is then at its own level.
ELRT_API Result<Score> score_after_switch(Session& session, std::span<const TokenId> tokens, std::uint32_t context,
                                          std::uint32_t first_level, CachePolicy policy);

}  // namespace elrt
