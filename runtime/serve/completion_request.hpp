// The body of /v1/completions and /v1/chat/completions as plain data.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "elrt/chat.hpp"
#include "elrt/generator.hpp"
#include "elrt/slo.hpp"
#include "model_names.hpp"

namespace elrt::serve {

struct CompletionRequest {
  bool chat = false;
  std::string prompt;                 // of a completion
  std::vector<ChatMessage> messages;  // of a chat, at least one
  std::string variables;              // chat_template_kwargs: a JSON object, or empty
  std::string model;                  // as the client wrote it; empty: not at all
  std::uint32_t level = 100;
  std::optional<Slo> slo;
  std::optional<std::uint32_t> max_tokens;  // nothing: up to the context
  GenerateOptions generate;                 // sampler and stop strings
  bool stream = false, include_usage = false;
};

// Throws ApiError: 400 naming the field, 404 for an unknown model. What is unknown is ignored, as OpenAI does; what
// would change the answer and cannot be done is refused by name.
CompletionRequest read_completion(std::string_view body, bool chat, const ModelNames& names);

// The body as a JSON object; 400 for what is none.
nlohmann::json read_object(std::string_view body);

}  // namespace elrt::serve
