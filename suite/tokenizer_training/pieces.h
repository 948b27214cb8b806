// The learning half of tokenizer_training/train: texts to a SentencePiece model, by the program elastify-learn-pieces.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer_training/train.h"

namespace elastify {

// The stretches of `text` that pieces are learned from, in order and never empty: what is left between control
// characters (newlines among them), U+2581 and U+2585 (SentencePiece's own marks), cut again, at a space where there is
// one, when longer than kLongStretchBytes. Expects UTF-8.
constexpr std::size_t kLongStretchBytes = 4096, kLongestStretchBytes = 8192;
std::vector<std::string_view> learnable_stretches(std::string_view text);

// The contents of a tokenizer.model, with fewer tokens than settings.vocab_size where `texts` (UTF-8) support no more.
// The program is looked for next to the running one, then in the build tree. Texts pass through an unnamed temporary
// file. Throws Error(kBadData) where the characters alone exceed the vocabulary, Error(kInternal) where the program
// fails or is missing.
std::string learn_pieces(const std::vector<std::string>& texts, const TokenizerTraining& settings);

}  // namespace elastify
