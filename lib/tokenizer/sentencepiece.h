// SentencePiece's tokenizer.model: a protocol buffer, of which the few fields that matter are read here, since the
// library itself gives no access to its normalizer's settings. BPE models only.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "elrt/tokenizer.hpp"

namespace elastify {

// Sidecar files are not read here; without them BOS is added where the model has one, as Llama does. Throws
// Error(kBadData); Unigram, word and character models, whitespace as suffix and precompiled character maps are refused.
elrt::TokenizerSpec read_tokenizer_sentencepiece(const std::filesystem::path& file);
// The same from a file's contents, without sidecars; `name` stands in messages.
elrt::TokenizerSpec parse_tokenizer_sentencepiece(std::string_view bytes, const std::string& name);

// U+2581, which stands for a space in pieces.
inline constexpr const char* kSentencePieceSpace = "\xE2\x96\x81";

// How SentencePiece prepares text, and undoes it, as steps of `spec`.
struct SentencePieceText {
  bool remove_extra_whitespaces = true;
  bool add_dummy_prefix = true;
  bool escape_whitespaces = true;
  bool byte_fallback = false;
};
void add_sentencepiece_steps(const SentencePieceText& text, elrt::TokenizerSpec& spec);

}  // namespace elastify
