// What a language model loses on answers to a prompt that it read at one level and answers at others.
#pragma once

#include <elrt/session.hpp>

#include <cstdint>
#include <span>
#include <vector>

#include "eval/task_tokens.h"

namespace elastify {

// The mean loss of every option, nats per token, at every decode level: [decode levels][options]. The first token is
// predicted from the prompt as the session's level reads it; further ones are read at the decode level over that cache
// (elrt::CachePolicy::kReuse). The session reads the prompt once, as long as options begin at the same token of it, and
// has its level again afterwards. decode_levels: percent, none above the session's level. Throws Error(kBadData) if the
// model computes NaN.
std::vector<std::vector<double>> phase_losses(elrt::Session& session, const std::vector<ScoredTokens>& options,
                                              std::span<const std::int64_t> decode_levels);

}  // namespace elastify
