// How much of a question each sentence of its context names.
//
// With Q the question's content terms (terms.hpp) and N sentences of which n(t) hold a term t,
//   idf(t) = ln(1 + N / n(t))
//   overlap(s) = sum of idf(t) over t in Q and s, divided by the sum over all t in Q that some sentence holds.
// Terms that are rare in this prompt weigh more (Sparck Jones 1972); as a ranking of answer sentences it is the
// weighted word count of WikiQA (Yang, Yih and Meek 2015). It needs no training, so it holds on any text where question
// and answer have words in common, and says nothing where they have none.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "elrt/wordpiece.hpp"
#include "tlm/sentences.hpp"

namespace elrt {

struct QuestionOverlap {
  std::vector<Sentence> sentences;  // of the whole text
  std::vector<float> shares;        // one for each, 0 to 1: above 0 exactly where it shares a content term with the
                                    // question; 0 for sentences of the question itself
};

// Words that touch `question` are the question's. A cue before it ("Question:") is no part of what it asks. O(bytes).
QuestionOverlap question_overlap(std::string_view text, std::span<const TextSpan> words, TextSpan question);

// What orders the sentences, first the one to keep longest, those of the question left out: sentences that share a
// content term with the question stand before all that share none; among each, those with the highest
//   kOverlapWeight * (overlap(s) + kCarry * overlap(the sentence before s on its line)) + best(s),
// best(s) being the highest of its words' `scores`, cut to 0..1; of equals the earlier. `scores`: one for each word,
// none of them NaN. O(words + sentences log sentences).
inline constexpr float kOverlapWeight = 4;  // over scores that were trained on other texts
inline constexpr float kCarry = 0.2f;       // "He" and "It" speak of what the sentence before named
std::vector<std::size_t> order_sentences(const QuestionOverlap& overlap, std::span<const TextSpan> words,
                                         std::span<const float> scores, TextSpan question);

}  // namespace elrt
