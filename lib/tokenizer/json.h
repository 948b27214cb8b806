// Hugging Face's tokenizer.json, BPE models: byte-level (GPT-2, Llama 3, Qwen) and byte-fallback (Llama 2, Mistral).
#pragma once

#include <filesystem>

#include "elrt/tokenizer.hpp"

namespace elastify {

// The file alone, without its sidecars. Keys that nothing reads are warned about by name. truncation and padding are
// settings for batches and play no part here. Throws Error(kBadData) for malformed contents and for every component
// without an equivalent in TokenizerSpec.
elrt::TokenizerSpec read_tokenizer_json(const std::filesystem::path& file);

}  // namespace elastify
