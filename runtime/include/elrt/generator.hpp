// Text in, text out: tokenise, prefill, decode until an end is reached.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "elrt/artifact.hpp"
#include "elrt/export.h"
#include "elrt/sampler.hpp"
#include "elrt/session.hpp"
#include "elrt/speculation.hpp"

namespace elrt {

struct PromptOptions {
  bool parse_special = false;  // special tokens' names in the text become those tokens
  bool begin = true;           // false: the text continues another one
};

// The text's tokens, after the beginning-of-text token where the tokenizer asks for one and the text does not have it
// already (never an end token).
ELRT_API Result<std::vector<TokenId>> prompt_tokens(const Tokenizer& tokenizer, std::string_view text,
                                                    const PromptOptions& options = {});

struct GenerateOptions {
  std::uint32_t max_tokens = 128;
  // Percent, at most the session's level: tokens after the first are made at this level, over the keys and values of
  // the prompt that the session's level wrote (CachePolicy::kReuse). 0: at the session's.
  std::uint32_t decode_level = 0;
  SamplerOptions sampler;
  std::vector<std::string> stop;  // the text ends before the first of them; not part of the result
  bool ignore_end = false;        // go on after the model's own end of text
  std::vector<TokenId> end_ids;   // tokens that end the text besides the tokenizer's, as ChatTemplate::turn_ends()
  bool keep_context = false;   // the prompt continues what the session has read (and, should it fail, leaves that as it
                               // was), instead of starting again; the beginning-of-text token is not repeated
  bool parse_special = false;  // of the prompt, where it is text: special tokens' names become those tokens
  ReadProgress on_prompt;      // asked before each batch of the prompt; false ends the generation (kCancelled), and the
                               // session holds no part of the prompt
  SpeculationOptions speculation;  // changes speed, never the text
};

enum class FinishReason { kEndOfText, kStopString, kMaxTokens, kContextFull, kCancelled };
ELRT_API const char* finish_reason_name(FinishReason reason);  // "end_of_text", "stop_string", ...

struct Generation {
  std::string text;             // what was streamed, joined: valid UTF-8
  std::vector<TokenId> tokens;  // sampled, without the end-of-text token
  FinishReason finish = FinishReason::kMaxTokens;
  std::uint32_t prompt_tokens = 0;
  double ttft_ms = 0;  // from the call to the first sampled token
  double tpot_ms = 0;  // mean over the tokens after the first; 0 if there are none
  SpeculationReport speculation;
};

// Receives whole characters as they become certain; returning false ends the generation. Must not throw.
using TextCallback = std::function<bool(std::string_view piece)>;

// Generates at the session's level, which it has again afterwards: with a decode level below it, a further prompt that
// continues the text reads all of it again. The session then holds the prompt and the tokens of the result (as many as
// fit the context), so that a further prompt may continue them. Fails with kInvalidArgument for an empty prompt, for
// one that does not fit the context and for a decode level that is unknown or above the session's; the session then
// holds what it held.
ELRT_API Result<Generation> generate(Session& session, const Tokenizer& tokenizer, std::string_view prompt,
                                     const GenerateOptions& options, const TextCallback& on_text = {});
// The same for a prompt that is tokens already, as prompt_tokens() gives them.
ELRT_API Result<Generation> generate(Session& session, const Tokenizer& tokenizer, std::span<const TokenId> prompt,
                                     const GenerateOptions& options, const TextCallback& on_text = {});

}  // namespace elrt
