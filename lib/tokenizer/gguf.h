// The tokenizer that a model in GGUF carries.
#pragma once

#include <filesystem>
#include <string>

#include "elrt/tokenizer.hpp"

namespace elastify {

// Kinds `gpt2` (byte-level BPE with a named pre-tokenizer) and `llama` (SentencePiece BPE, Gemma's too). Pre-tokenizers
// that are missing, "default" or unknown are refused by name, for another split than the model was trained with makes
// it worse without a word. Control tokens (type 3) and the unknown token are special: user text never becomes one.
// Those that the user defined (type 4) are found in any text and shown. Ends of a turn (eot_token_id, eom_token_id, and
// control tokens that are known as such by their text) become stop_ids. Throws Error(kBadData).
elrt::TokenizerSpec read_tokenizer_gguf(const std::filesystem::path& file);

// The chat template that it carries; empty: none.
std::string read_chat_template_gguf(const std::filesystem::path& file);

}  // namespace elastify
