#include "tlm/question_overlap.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <unordered_map>
#include <utility>

#include "tlm/terms.hpp"
#include "tlm/word_kinds.hpp"

namespace elrt {
namespace {

std::string_view bytes_of(std::string_view text, TextSpan span) {
  return text.substr(span.begin, span.end - span.begin);
}

bool touches(TextSpan word, TextSpan question) { return word.begin < question.end && word.end > question.begin; }

Language language_of(std::string_view text, std::span<const TextSpan> words) {
  LanguageGuess guess;
  for (const TextSpan& word : words)
    for_each_term(bytes_of(text, word), [&](const std::string& term) { guess.add(term); });
  return guess.language();
}

// The question's content terms, numbered.
using AskedTerms = std::unordered_map<std::string, std::size_t>;

AskedTerms asked_terms(std::string_view text, std::span<const TextSpan> words, TextSpan question, Language language) {
  const std::vector<WordKind> kinds = word_kinds(text, words);
  AskedTerms asked;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!touches(words[i], question)) continue;
    const bool cue = kinds[i].line_start && text[words[i].end - 1] == ':';
    if (cue) continue;
    for_each_term(bytes_of(text, words[i]), [&](const std::string& term) {
      if (is_content_term(term, language)) asked.try_emplace(stem_term(term, language), asked.size());
    });
  }
  return asked;
}

struct SharedTerm {
  std::size_t sentence = 0, term = 0;
};

}  // namespace

QuestionOverlap question_overlap(std::string_view text, std::span<const TextSpan> words, TextSpan question) {
  const Language language = language_of(text, words);
  QuestionOverlap result{split_sentences(text, words, question, language), {}};
  result.shares.assign(result.sentences.size(), 0);
  const AskedTerms asked = asked_terms(text, words, question, language);
  if (asked.empty()) return result;

  std::vector<SharedTerm> shared;  // each once a sentence
  std::vector<std::size_t> sentences_with(asked.size(), 0), last_seen(asked.size(), result.sentences.size());
  std::size_t context_sentences = 0;
  for (std::size_t s = 0; s < result.sentences.size(); ++s) {
    const Sentence sentence = result.sentences[s];
    if (touches(words[sentence.begin], question)) continue;
    ++context_sentences;
    for (std::size_t w = sentence.begin; w < sentence.end; ++w) {
      for_each_term(bytes_of(text, words[w]), [&](const std::string& term) {
        if (!is_content_term(term, language)) return;
        const auto found = asked.find(stem_term(term, language));
        if (found == asked.end() || last_seen[found->second] == s) return;
        last_seen[found->second] = s;
        ++sentences_with[found->second];
        shared.push_back({s, found->second});
      });
    }
  }
  const auto idf = [&](std::size_t term) {
    return std::log1p(static_cast<double>(context_sentences) / static_cast<double>(sentences_with[term]));
  };
  std::vector<double> sums(result.sentences.size(), 0);
  for (const SharedTerm& pair : shared) sums[pair.sentence] += idf(pair.term);
  double all = 0;
  for (std::size_t term = 0; term < asked.size(); ++term) all += sentences_with[term] > 0 ? idf(term) : 0;
  for (std::size_t s = 0; s < sums.size(); ++s)
    result.shares[s] = sums[s] > 0 ? static_cast<float>(sums[s] / all) : 0.0f;
  return result;
}

std::vector<std::size_t> order_sentences(const QuestionOverlap& overlap, std::span<const TextSpan> words,
                                         std::span<const float> scores, TextSpan question) {
  const auto& [sentences, shares] = overlap;
  std::vector<std::size_t> order;
  std::vector<float> worth(sentences.size(), 0);
  for (std::size_t s = 0; s < sentences.size(); ++s) {
    if (touches(words[sentences[s].begin], question)) continue;
    float best = 0;
    for (std::size_t w = sentences[s].begin; w < sentences[s].end; ++w)
      best = std::max(best, std::min(scores[w], 1.0f));
    const float carried = sentences[s].line_start ? 0 : kCarry * shares[s - 1];
    worth[s] = kOverlapWeight * (shares[s] + carried) + best;
    order.push_back(s);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const bool a_shares = shares[a] > 0, b_shares = shares[b] > 0;
    return a_shares != b_shares ? a_shares : worth[a] > worth[b];
  });
  return order;
}

}  // namespace elrt
