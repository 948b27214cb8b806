// What llama.cpp's architectures for single families ask of a file: SmolLM3, Gemma 3, Phi-3.
#pragma once

#include <elrt/gguf.hpp>

#include <string>

#include "export/export_parts.h"

namespace elastify {

// llama.cpp's name of the family's own architecture; empty: there is none, it is written as a Llama.
std::string own_architecture(const ModelConfig& config);

// The shape that such an architecture holds: every layer, for llama.cpp counts them to tell what a layer does, all of
// one width. Throws Error(kUsage) where the model's layers do not follow each other as llama.cpp takes them to, and
// where zeros would be needed but `options.pad` is false.
void shape_for_family(const ExportOptions& options, const LevelFacts& facts, ExportShape& shape, ExportNotes& notes);

// Its keys, `prefix` ending in a point.
void add_family_keys(const ModelConfig& config, const std::string& prefix, elrt::gguf::Metadata& metadata);

}  // namespace elastify
