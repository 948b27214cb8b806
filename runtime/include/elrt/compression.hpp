// Prompt compression: a text keeps its highest-scored words, in order. Words are spans of the original text
// (wordpiece.hpp), so that any tokenizer reads clean text afterwards.
//
// WORDS. All words count but bullets: "-", "*", "+" and the like as the first of a line's words. A bullet stays where
// any other word of its line stays. SHARE. Of n counted words ceil(n * level / 100) are kept: first those that must
// stay, however many they are, then those with the highest scores, of equal scores the earlier. So what one level
// keeps, every higher level keeps too. WHITE SPACE. Between words that stay neighbours it is as it was. Where words are
// removed, one of the gaps around them is left: the one with most line ends, of equals the first. What stands before
// the first and after the last word always stays. At level 100 the text is the same, byte for byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "elrt/export.h"
#include "elrt/result.hpp"
#include "elrt/wordpiece.hpp"

namespace elrt {

// What stays at every level. The bytes that `spans` touch, whole words each, and by its form:
struct KeepRules {
  std::vector<TextSpan> spans;  // within the text, in any order
  bool markers = true;          // option markers: "A." "B)" "(C)" "2:" as a line's first word, "(C)" anywhere
  bool numbers = false;         // words with a decimal digit of any script
};

struct CompressedPrompt {
  std::string text;
  std::vector<bool> kept;       // per word of the original
  std::size_t words_total = 0;  // counted words of the original
  std::size_t words_kept = 0;   // ... that stayed
};

// ceil(words * level / 100).
ELRT_API std::size_t kept_words(std::size_t words, std::uint32_t prompt_level);

// words: as WordPiece::encode gives them for `text`; scores: one for each, higher stays longer.
// kBadData for text that is not UTF-8; kInvalidArgument for a level outside 1..100, words or spans that are not
// ascending stretches of the text, and scores that are NaN or not as many as words. O(text + words log words).
ELRT_API Result<CompressedPrompt> compress_prompt(std::string_view text, std::span<const TextSpan> words,
                                                  std::span<const float> scores, std::uint32_t prompt_level,
                                                  const KeepRules& rules = {});
// The same for a number of counted words instead of a level; more than there are keeps all.
ELRT_API Result<CompressedPrompt> compress_prompt_to(std::string_view text, std::span<const TextSpan> words,
                                                     std::span<const float> scores, std::size_t keep_words,
                                                     const KeepRules& rules = {});

// What a word counts by where sentences shall stay readable: by the best score in its sentence, of one sentence by its
// own. Half of a sentence says less than its words weigh: a model finds "cake" only next to "Leo brings the". Scores
// are probabilities, 0 to 1. A sentence ends with its line and after a word that ends in ".", "!", "?" or ";", closing
// quotes and brackets apart.
ELRT_API std::vector<float> sentence_scores(std::string_view text, std::span<const TextSpan> words,
                                            std::span<const float> scores);

// The same where the prompt has a question (find_question(), or as the caller knows). Sentences are cut one after the
// other, all that share no content word with the question before any that does, whatever their scores; among each kind
// a sentence's share of the question's words, rare ones counting more, and its best score decide together
// (question_overlap.hpp in the sources has the formula). Of the last one its best words stay. So an answer that names
// what is asked for is never cut before a sentence that does not, on whatever texts the scores were trained. Where no
// sentence shares a word with the question, or there is none (an empty span), as above. Here sentences do not end after
// "Dr.", "p.m." and ";", and do after the marks of other scripts. O(text + sentences log sentences).
ELRT_API std::vector<float> sentence_scores(std::string_view text, std::span<const TextSpan> words,
                                            std::span<const float> scores, TextSpan question);

// Where a prompt's question stands if nobody says so: its last line that has words, together with the one before it
// where that last line is a mere cue ("A:", "Answer:": one word that ends in a colon), and above lines that begin with
// option markers the first line that does not. In a text of one line it is the last sentence. Empty, at the text's end,
// for a text without words.
ELRT_API TextSpan find_question(std::string_view text, std::span<const TextSpan> words);

// A stretch of a long text's tokens that an encoder reads at once: [begin, end) of WordPieces::tokens.
struct TokenChunk {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool operator==(const TokenChunk&) const = default;
};

// Chunks of at most `max_tokens` that cover all tokens in order, each begun at a word at least `overlap` tokens before
// the end of the one before it, so that tokens near one chunk's edge stand well inside another. Only a word that is
// itself too long for that is cut. No tokens: no chunk. kInvalidArgument unless overlap < max_tokens.
ELRT_API Result<std::vector<TokenChunk>> plan_chunks(std::span<const WordPieceToken> tokens, std::size_t max_tokens,
                                                     std::size_t overlap);

// Per word the mean over its tokens, 0 for a word without any. chunk_scores[c][i] belongs to token chunks[c].begin + i;
// where chunks overlap, a token's score is that of the chunk in which more tokens stand on its scarcer side (ends of
// the text are no edge), of equals the first. kInvalidArgument where chunks do not cover the tokens or sizes do not
// fit.
ELRT_API Result<std::vector<float>> merge_word_scores(std::span<const WordPieceToken> tokens, std::size_t words,
                                                      std::span<const TokenChunk> chunks,
                                                      std::span<const std::vector<float>> chunk_scores);

}  // namespace elrt
