// A tiny model that can be talked to: markers of turns among its tokens, and a template of ChatML's form.
#pragma once

#include <memory>
#include <string>

#include "elrt/elrt.hpp"
#include "unit/runtime/tiny_tokenizer.h"

namespace elastify_test {

inline constexpr char kChatMl[] =
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

// tiny_tokenizer() and two more control tokens; `text` is the template.
inline elrt::TokenizerSpec chat_tokenizer(const std::string& text = kChatMl) {
  elrt::TokenizerSpec spec = tiny_tokenizer();
  for (const char* marker : {"<|im_start|>", "<|im_end|>"}) {
    spec.added.push_back({static_cast<std::int32_t>(spec.tokens.size()), true});
    spec.tokens.emplace_back(marker);
    spec.types.push_back(elrt::TokenType::kControl);
    spec.scores.push_back(0);
  }
  spec.chat_template = text;
  return spec;
}

inline GgufBuilder chat_artifact(const elrt::TokenizerSpec& spec = chat_tokenizer(), std::uint32_t context = 2048) {
  TinyElasticShape shape;
  shape.vocab = static_cast<std::uint32_t>(spec.tokens.size());
  shape.adapters = true;
  shape.context = context;
  GgufBuilder file = TinyElastic(shape, 1).artifact();
  for (const auto& [key, value] : elrt::tokenizer_metadata(spec)) file.metadata[key] = value;
  return file;
}

inline std::shared_ptr<const elrt::Tokenizer> shared_tokenizer(const elrt::TokenizerSpec& spec) {
  return std::make_shared<const elrt::Tokenizer>(elrt::Tokenizer::create(spec).value());
}

}  // namespace elastify_test
