// A byte pair tokenizer learned from text, by SentencePiece's trainer, written as Hugging Face's tokenizer.json.
//
// Ids: 0 <unk>, 1 <s> (put before every text), 2 </s>, 3 the newline, 4..259 the bytes <0x00>..<0xFF>, then the merged
// pieces, best first, then the single characters. Texts become tokens as they are: nothing is normalized, no space is
// put before a text, and decoding gives every text back byte by byte.
//   * Pieces hold spaces as spaces, not as SentencePiece's U+2581, so that this character, too, comes back as itself.
//   * No piece goes beyond the end of a word: a space begins a piece or is one, a newline stands alone, other control
//     characters are byte tokens. So encode(a + b) = encode(a) + encode(b) where b begins with a space or a newline, or
//     a ends with a newline: an answer has the same tokens after any prompt, and a line after any other line.
//     SentencePiece's usual space before a text (add_dummy_prefix) would make an option after "\n" differ from the same
//     option alone.
//   * A character that has no token becomes its bytes' tokens; <unk> never comes out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace elastify {

struct TokenizerTraining {
  std::int64_t vocab_size = 4096;       // tokens altogether; the result has exactly as many
  bool split_digits = true;             // every digit is a token of its own
  double character_coverage = 0.99995;  // share of the text's characters that get tokens; the rarest become bytes
};

// Writes tokenizer.json, tokenizer_config.json and tokenizer.model (the same pieces for SentencePiece's own readers)
// into `directory`, which is made where it is missing and keeps its other files. Each file is whole or absent. One
// thread; equal texts and settings give equal bytes. Another program, elastify-learn-pieces, does the learning. Throws
// Error(kBadData) for texts that are empty or not UTF-8 and for more tokens than the texts support (the message says
// how many they do), Error(kUsage) for settings out of range or a `directory` that cannot be made or written.
void train_tokenizer(const std::vector<std::string>& texts, const TokenizerTraining& settings,
                     const std::filesystem::path& directory);

}  // namespace elastify
