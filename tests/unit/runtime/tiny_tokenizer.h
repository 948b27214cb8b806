// A tokenizer small enough to reason about: begin and end tokens, all bytes, a few letters, and their merges by score.
#pragma once

#include <cstdio>
#include <string>

#include "elrt/tokenizer.hpp"
#include "unit/runtime/tiny_elastic.h"

namespace elastify_test {

inline elrt::TokenizerSpec tiny_tokenizer() {
  elrt::TokenizerSpec spec;
  spec.model = elrt::TokenizerModel::kBpeScores;
  spec.byte_fallback = true;
  const auto add = [&](const std::string& text, elrt::TokenType type, float score) {
    spec.tokens.push_back(text);
    spec.types.push_back(type);
    spec.scores.push_back(score);
  };
  add("<unk>", elrt::TokenType::kUnknown, 0);
  add("<s>", elrt::TokenType::kControl, 0);
  add("</s>", elrt::TokenType::kControl, 0);
  for (int byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", byte);
    add(text, elrt::TokenType::kByte, 0);
  }
  for (const char* text : {"a", "b", "c", " ", "ab", " c"})
    add(text, elrt::TokenType::kNormal, static_cast<float>(-1.0 * static_cast<double>(spec.tokens.size())));
  spec.added = {{1, true}, {2, true}};
  spec.unk_id = 0, spec.bos_id = 1, spec.eos_id = 2, spec.add_bos = true;
  spec.decoder = {{elrt::DecoderStep::Kind::kByteFallback, "", "", 0, 0},
                  {elrt::DecoderStep::Kind::kFuse, "", "", 0, 0}};
  return spec;
}

// A tiny model with this tokenizer inside.
inline GgufBuilder tiny_artifact_with_tokenizer(std::uint64_t seed = 1) {
  const elrt::TokenizerSpec spec = tiny_tokenizer();
  TinyElasticShape shape;
  shape.vocab = static_cast<std::uint32_t>(spec.tokens.size());
  shape.adapters = true;
  GgufBuilder file = TinyElastic(shape, seed).artifact();
  for (const auto& [key, value] : elrt::tokenizer_metadata(spec)) file.metadata[key] = value;
  return file;
}

}  // namespace elastify_test
