// Text to WordPiece tokens by the rules of uncased BERT (Devlin et al. 2018), as the encoder's checkpoints expect them.
// Every token knows the bytes of the original text it was made from, and the word it belongs to.
//
// 1. Invalid UTF-8, U+0000, U+FFFD and characters of the categories Cc, Cf and Co vanish, tab and line ends excepted.
// 2. Words end at tab, newline, carriage return and characters of the categories Zs, Zl and Zp.
// 3. Inside a word, every CJK ideograph is cut out on its own.
// 4. Canonical decomposition (NFD); nonspacing marks (Mn) vanish; every character gets its simple lower case.
// 5. Every punctuation character (categories P*, and the symbols of ASCII) is cut out on its own.
// 6. What is left is matched greedily: the longest token of the vocabulary first, its continuations written "##...".
//    Where a character fits nothing, or there are more than 100 characters, the whole is one [UNK].
//
// Special tokens are never found in a text: "[SEP]" in a prompt is three ordinary tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "elrt/export.h"
#include "elrt/result.hpp"

namespace elrt {

// Bytes [begin, end) of a text.
struct TextSpan {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool operator==(const TextSpan&) const = default;
};

struct WordPieceToken {
  std::int32_t id = 0;
  TextSpan bytes;            // of its first to its last character; the tokens of one Hangul syllable share its bytes
  std::size_t word = 0;      // index into WordPieces::words
  std::uint8_t segment = 0;  // of the encoder's input, see mark_question()
  bool operator==(const WordPieceToken&) const = default;
};

struct WordPieces {
  std::vector<WordPieceToken> tokens;  // in the order of the text, without [CLS] and [SEP]
  // Runs of bytes without white space, in order and apart. What lies between them is white space, so words and gaps
  // joined are the text. A word whose every character vanishes has no token.
  std::vector<TextSpan> words;
};

class ELRT_API WordPiece {
 public:
  static constexpr std::size_t kMaxTextBytes = std::size_t{1} << 24;  // 16 MiB: far above any prompt

  // `vocabulary[id]` is the token's text; of equal texts the lowest id counts. Fails with kBadData unless [PAD], [UNK],
  // [CLS], [SEP] and [MASK] are among them.
  static Result<WordPiece> create(std::vector<std::string> vocabulary);
  // The contents of a vocab.txt: one token a line, the first line is id 0.
  static Result<WordPiece> from_vocabulary_text(std::string_view text);

  WordPiece(WordPiece&&) noexcept;
  WordPiece& operator=(WordPiece&&) noexcept;
  ~WordPiece();

  // All methods are const and may be called from several threads at once.

  // kInvalidArgument for a text above kMaxTextBytes; any bytes are a text. O(bytes).
  Result<WordPieces> encode(std::string_view text) const;

  // Segment 1 for the question and for what the question names: every piece as rule 5 cuts them out that stands in
  // `question` as well, but not [UNK] and not what stands in more than three other places, as "the" does; segment 0 for
  // all others. A small encoder has to find what a question asks for, and equal words are most of it (exact-match
  // marks: Boualili et al. 2020, "MarkedBERT"). O(tokens log tokens).
  void mark_question(WordPieces& pieces, TextSpan question) const;

  std::int32_t vocab_size() const;
  std::int32_t find(std::string_view token) const;  // its id, "##" and all, or -1
  std::string_view token(std::int32_t id) const;    // empty for an id out of range
  std::int32_t pad_id() const;
  std::int32_t unk_id() const;
  std::int32_t cls_id() const;
  std::int32_t sep_id() const;
  std::int32_t mask_id() const;

 private:
  struct ELRT_HIDDEN Impl;
  ELRT_HIDDEN explicit WordPiece(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace elrt
