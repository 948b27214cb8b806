// A question as token sequences, ready to be scored.
#pragma once

#include <elrt/tokenizer.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "eval/eval_item.h"

namespace elastify {

struct ScoredTokens {
  std::vector<std::int32_t> ids;
  std::size_t from = 1;  // the option's own tokens are ids[from..]
};

struct TaskTokens {
  std::vector<ScoredTokens> options;
  std::vector<std::int32_t>
      prompt;                   // for writing an answer; empty for items with leads, whose options are all one text
  std::size_t answer_room = 0;  // tokens that an answer may have: the longest option's and kSpareTokens
  bool shortened = false;       // tokens are missing at the front
  bool fits = true;             // false: the options alone exceed the context; nothing else is set then
};
inline constexpr std::size_t kSpareTokens = 8;

// Prompt and option are tokenised as one text. The option's tokens are those after what this text has in common with
// the prompt's own tokens, so that a token across the border counts as the option's. Where the longest option's text
// exceeds `context_tokens`, all options lose as many tokens from the front, after the beginning-of-text token: first
// the oldest examples, then the beginning of the context. Throws Error(kBadData) for an option that adds no token to
// its prompt.
TaskTokens tokenize_task(const elrt::Tokenizer& tokenizer, const std::string& examples, const EvalItem& item,
                         std::size_t context_tokens);

}  // namespace elastify
