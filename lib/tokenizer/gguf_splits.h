// How byte-level tokenizers split a text before their merges, by llama.cpp's names (tokenizer.ggml.pre).
#pragma once

#include <span>
#include <string_view>

#include "elrt/tokenizer.hpp"

namespace elastify {

struct GgufSplit {
  const char* name;
  bool digits;            // each digit stands alone, before `regex` splits the rest
  const char* regex;      // in the dialect of tokenizer.json
  bool ignores_merges;    // a piece that is a token is taken whole
  bool nfc = false;       // the models' text is composed first, which the format does not say
  bool adds_bos = false;  // where the file does not say
};

// The first of several names for one split is the one to write.
std::span<const GgufSplit> gguf_splits();

// By name; nullptr: unknown here.
const GgufSplit* find_gguf_split(std::string_view name);

// Of a byte-level tokenizer; nullptr: llama.cpp has no such split. A tokenizer without merges splits nothing, and any
// will do.
const GgufSplit* find_gguf_split(const elrt::TokenizerSpec& spec);

}  // namespace elastify
