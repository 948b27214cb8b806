// A checkpoint's tokenizer as the runtime's TokenizerSpec.
#pragma once

#include <cstdint>
#include <filesystem>

#include "elrt/tokenizer.hpp"

namespace elastify {

// A model in GGUF without the model, which a folder may hold as its tokenizer.
inline constexpr char kTokenizerGguf[] = "tokenizer.gguf";

// `path`: a tokenizer file, a model in GGUF (gguf.h), or a checkpoint directory, where tokenizer.json goes before
// tokenizer.model before tokenizer.bin before the only tok*.bin; for any other file, its directory counts.
// tokenizer_config.json, special_tokens_map.json, config.json and generation_config.json next to the file say which
// tokens begin and end a text, tokenizer_config.json and added_tokens.json which tokens the file itself lacks (see
// added.h). `vocab_size`: the model's, 0 if unknown; llama2.c's format does not store it, so there it must fit exactly
// (with 0, the file is read to its end); elsewhere the tokenizer may have fewer tokens, but not more. Throws
// Error(kBadData) for damaged files and for every component that the runtime does not know (Unigram, WordPiece,
// precompiled character maps, ...). The returned spec has passed Tokenizer::create. `checkpoint`: the model's own
// folder, whose config.json and generation_config.json say which further tokens end a text, and which has
// the chat template where the tokenizer's folder has none; empty: none.
elrt::TokenizerSpec import_tokenizer(const std::filesystem::path& path, std::int64_t vocab_size = 0,
                                     const std::filesystem::path& checkpoint = {});

}  // namespace elastify
