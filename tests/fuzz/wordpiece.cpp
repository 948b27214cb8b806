// WordPiece with a hostile vocabulary and text.
//
// INPUT. Two bytes, little endian: the length of a text, which follows; the rest is a vocab.txt.
#include "elrt/wordpiece.hpp"

#include <cmath>

#include "elrt/compression.hpp"
#include "fuzz/memory_file.h"

namespace {

using elastify_fuzz::require;

void check_pieces(const elrt::WordPiece& wordpiece, const elrt::WordPieces& pieces, std::string_view text) {
  std::size_t end = 0;
  for (const elrt::TextSpan& word : pieces.words) {
    require(word.begin >= end && word.begin < word.end && word.end <= text.size());
    end = word.end;
  }
  for (const elrt::WordPieceToken& token : pieces.tokens) {
    require(token.id >= 0 && token.id < wordpiece.vocab_size() && token.word < pieces.words.size());
    const elrt::TextSpan word = pieces.words[token.word];
    require(token.bytes.begin >= word.begin && token.bytes.end <= word.end);
  }
}

void compress(std::string_view text, const elrt::WordPieces& pieces) {
  std::vector<float> scores(pieces.words.size());
  for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = static_cast<float>(i * 7 % 5);
  if (auto kept = elrt::compress_prompt(text, pieces.words, scores, 100)) require(kept->text == text);
  if (auto kept = elrt::compress_prompt(text, pieces.words, scores, 40)) require(kept->text.size() <= text.size());
  const auto ranks = elrt::sentence_scores(text, pieces.words, scores, elrt::find_question(text, pieces.words));
  require(ranks.size() == scores.size());
  for (const float rank : ranks) require(std::isfinite(rank));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t length = std::min<std::size_t>(bytes[0] | bytes[1] << 8, size - 2);
  const std::string text(reinterpret_cast<const char*>(bytes) + 2, length);
  auto wordpiece =
      elrt::WordPiece::from_vocabulary_text({reinterpret_cast<const char*>(bytes) + 2 + length, size - 2 - length});
  if (!wordpiece) return 0;
  auto pieces = wordpiece->encode(text);
  if (!pieces) return 0;
  check_pieces(wordpiece.value(), pieces.value(), text);
  wordpiece->mark_question(pieces.value(), elrt::find_question(text, pieces->words));
  compress(text, pieces.value());
  return 0;
}
