// A tokenizer as llama.cpp reads it from a GGUF file: the keys tokenizer.ggml.* and tokenizer.chat_template.
#pragma once

#include <elrt/gguf.hpp>

#include "export/export_parts.h"

namespace elastify {

// Adds the keys for `facts`' tokenizer, with as many tokens as the model's vocabulary. Says in `notes` where llama.cpp
// may split texts in another way. Throws Error(kUsage) where llama.cpp has nothing like it: byte-level tokenizers whose
// split has no name there, and those that know neither bytes nor byte-level characters.
void add_gguf_tokenizer(const LevelFacts& facts, elrt::gguf::Metadata& metadata, ExportNotes& notes);

}  // namespace elastify
