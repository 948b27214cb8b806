// Next-token loss of an artifact's levels on text, measured with the runtime that serves it.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "base/files.h"

namespace elastify {

struct TextLossRequest {
  fs::path artifact;
  std::vector<std::string> texts;    // files, as elastify's data settings read them
  std::vector<std::int64_t> levels;  // empty: all
  std::int64_t max_tokens = 0;       // stop after the document that reaches this many predictions; 0: all
  std::int64_t threads = 0;          // 0: all cores
};

// {documents, tokens, levels: [{level, loss, loss_without_adapter, perplexity}]}; losses in nats per token over all
// predictions of the documents, prompts of instruction records left out. Each document starts afresh with BOS; one
// longer than the context is read in windows that overlap by one token. Throws Error on bad artifacts, levels and text.
nlohmann::json measure_text_loss(const TextLossRequest& request);

std::string format_text_loss(const nlohmann::json& result);

}  // namespace elastify
