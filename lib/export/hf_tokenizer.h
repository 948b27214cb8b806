// The tokenizer's files of an exported Hugging Face folder.
#pragma once

#include "export/export_parts.h"

namespace elastify {

// The owner's own files where they are known, else tokenizer.json and tokenizer_config.json made from the spec; the
// chat template either way.
void write_hf_tokenizer(const LevelFacts& facts, const fs::path& folder, ExportNotes& notes);

}  // namespace elastify
