#include "elrt/compression.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/guarded.hpp"
#include "base/utf8.hpp"
#include "tlm/question_overlap.hpp"
#include "tlm/word_kinds.hpp"

namespace elrt {
namespace {

std::string_view bytes_of(std::string_view text, TextSpan span) {
  return text.substr(span.begin, span.end - span.begin);
}

Result<void> check_words(std::string_view text, std::span<const TextSpan> words) {
  std::size_t end = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i].begin < end || words[i].end <= words[i].begin || words[i].end > text.size()) {
      return invalid_argument("word " + std::to_string(i) + " is [" + std::to_string(words[i].begin) + ", " +
                              std::to_string(words[i].end) + "), expected a stretch beginning at or after byte " +
                              std::to_string(end) + " of a text of " + std::to_string(text.size()));
    }
    end = words[i].end;
  }
  return {};
}

Result<void> check_input(std::string_view text, std::span<const TextSpan> words, std::span<const float> scores,
                         const KeepRules& rules) {
  if (!utf8::is_valid(text)) return bad_data("cannot compress a text that is not UTF-8");
  if (auto done = check_words(text, words); !done) return done;
  if (scores.size() != words.size()) {
    return invalid_argument("there are " + std::to_string(scores.size()) + " scores, expected one for each of " +
                            std::to_string(words.size()) + " words");
  }
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i])) return invalid_argument("the score of word " + std::to_string(i) + " is NaN");
  }
  for (const TextSpan& span : rules.spans) {
    if (span.begin > span.end || span.end > text.size()) {
      return invalid_argument("bytes [" + std::to_string(span.begin) + ", " + std::to_string(span.end) +
                              ") must stay, the text has " + std::to_string(text.size()));
    }
  }
  return {};
}

std::vector<bool> words_to_keep(std::string_view text, std::span<const TextSpan> words,
                                const std::vector<WordKind>& kinds, const KeepRules& rules) {
  std::vector<bool> must(words.size(), false);
  for (const TextSpan& span : rules.spans) {
    auto word =
        std::partition_point(words.begin(), words.end(), [&](const TextSpan& w) { return w.end <= span.begin; });
    for (; word != words.end() && word->begin < span.end; ++word)
      must[static_cast<std::size_t>(word - words.begin())] = true;
  }
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = bytes_of(text, words[i]);
    if (rules.markers && is_option_marker(word, kinds[i].line_start)) must[i] = true;
    if (rules.numbers && has_digit(word)) must[i] = true;
  }
  return must;
}

// Bullets whose line has lost all its words go, others come.
void settle_bullets(const std::vector<WordKind>& kinds, const std::vector<bool>& must, std::vector<bool>& kept) {
  bool line_stays = false;
  for (std::size_t i = kinds.size(); i-- > 0;) {
    if (kinds[i].bullet) kept[i] = line_stays || must[i];
    line_stays = !kinds[i].line_start && (line_stays || kept[i]);
  }
}

std::size_t line_ends(std::string_view gap) {
  return static_cast<std::size_t>(std::count(gap.begin(), gap.end(), '\n'));
}

bool ends_sentence(std::string_view word) {
  while (word.size() > 1 && std::string_view("\"')]").find(word.back()) != std::string_view::npos)
    word.remove_suffix(1);
  return std::string_view(".!?;").find(word.back()) != std::string_view::npos;
}

// `kept` holds at least one word.
std::string join(std::string_view text, std::span<const TextSpan> words, const std::vector<bool>& kept) {
  std::string out(text.substr(0, words.front().begin));
  std::string_view gap;  // the best of those since the last kept word
  bool any = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view before =
        i == 0 ? std::string_view{} : text.substr(words[i - 1].end, words[i].begin - words[i - 1].end);
    if (i == 0 || kept[i - 1] || line_ends(before) > line_ends(gap)) gap = before;
    if (!kept[i]) continue;
    if (any) out += gap;
    out += bytes_of(text, words[i]);
    any = true;
  }
  return out.append(text.substr(words.back().end));
}

}  // namespace

std::size_t kept_words(std::size_t words, std::uint32_t prompt_level) { return (words * prompt_level + 99) / 100; }

namespace {

// `target` gives the number of words to keep from the number of counted ones.
template <typename Target>
Result<CompressedPrompt> compress(std::string_view text, std::span<const TextSpan> words, std::span<const float> scores,
                                  const KeepRules& rules, Target target) {
  if (auto done = check_input(text, words, scores, rules); !done) return done.take_failure();
  CompressedPrompt result;
  result.kept.assign(words.size(), false);
  const std::vector<WordKind> kinds = word_kinds(text, words);
  const std::vector<bool> must = words_to_keep(text, words, kinds, rules);
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!kinds[i].bullet) order.push_back(i);
  }
  result.words_total = order.size();
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return must[a] != must[b] ? bool{must[a]} : !must[a] && scores[a] > scores[b];
  });
  const std::size_t wanted = std::min(order.size(), target(order.size()));
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    if (rank >= wanted && !must[order[rank]]) break;
    result.kept[order[rank]] = true;
    ++result.words_kept;
  }
  settle_bullets(kinds, must, result.kept);
  const bool all = std::find(result.kept.begin(), result.kept.end(), false) == result.kept.end();
  const bool none = std::find(result.kept.begin(), result.kept.end(), true) == result.kept.end();
  result.text = all ? std::string(text) : none ? std::string() : join(text, words, result.kept);
  return result;
}

}  // namespace

Result<CompressedPrompt> compress_prompt(std::string_view text, std::span<const TextSpan> words,
                                         std::span<const float> scores, std::uint32_t prompt_level,
                                         const KeepRules& rules) {
  return guarded("compress a prompt", [&]() -> Result<CompressedPrompt> {
    if (prompt_level < 1 || prompt_level > 100) {
      return invalid_argument("the prompt level is " + std::to_string(prompt_level) + ", expected 1 to 100");
    }
    return compress(text, words, scores, rules, [&](std::size_t count) { return kept_words(count, prompt_level); });
  });
}

Result<CompressedPrompt> compress_prompt_to(std::string_view text, std::span<const TextSpan> words,
                                            std::span<const float> scores, std::size_t keep_words,
                                            const KeepRules& rules) {
  return guarded("compress a prompt",
                 [&] { return compress(text, words, scores, rules, [&](std::size_t) { return keep_words; }); });
}

std::vector<float> sentence_scores(std::string_view text, std::span<const TextSpan> words,
                                   std::span<const float> scores) {
  if (scores.size() != words.size()) return {scores.begin(), scores.end()};  // compression will say so
  constexpr float kOwnShare = 1.0f / 64;  // orders the words of one sentence, and sentences of nearly equal best words
  const std::vector<WordKind> kinds = word_kinds(text, words);
  std::vector<float> ranks(words.size());
  for (std::size_t begin = 0, end = 0; begin < words.size(); begin = end) {
    end = begin + 1;
    while (end < words.size() && !kinds[end].line_start && !ends_sentence(bytes_of(text, words[end - 1]))) ++end;
    const float best = *std::max_element(scores.begin() + static_cast<std::ptrdiff_t>(begin),
                                         scores.begin() + static_cast<std::ptrdiff_t>(end));
    for (std::size_t i = begin; i < end; ++i) ranks[i] = best + kOwnShare * scores[i];
  }
  return ranks;
}

std::vector<float> sentence_scores(std::string_view text, std::span<const TextSpan> words,
                                   std::span<const float> scores, TextSpan question) {
  if (scores.size() != words.size()) return {scores.begin(), scores.end()};
  if (std::any_of(scores.begin(), scores.end(), [](float score) { return std::isnan(score); }))
    return {scores.begin(), scores.end()};  // as above
  const QuestionOverlap overlap = question_overlap(text, words, question);
  const bool any = std::any_of(overlap.shares.begin(), overlap.shares.end(), [](float share) { return share > 0; });
  if (!any) return sentence_scores(text, words, scores);
  const std::vector<std::size_t> order = order_sentences(overlap, words, scores, question);
  std::vector<float> ranks(words.size(), 0);  // of the question's words too, which must stay by rule
  for (std::size_t place = 0; place < order.size(); ++place) {
    const Sentence sentence = overlap.sentences[order[place]];
    for (std::size_t w = sentence.begin; w < sentence.end; ++w)
      ranks[w] = static_cast<float>(order.size() - place) + std::clamp(scores[w], 0.0f, 1.0f) / 2;
  }
  return ranks;
}

TextSpan find_question(std::string_view text, std::span<const TextSpan> words) {
  if (words.empty()) return {text.size(), text.size()};
  const std::vector<WordKind> kinds = word_kinds(text, words);
  const auto line_of = [&](std::size_t word) {  // the first word of its line
    while (!kinds[word].line_start) --word;
    return word;
  };
  const auto is_option = [&](std::size_t word) {
    return is_option_marker(bytes_of(text, words[word]), true) && text[words[word].end - 1] != ':';
  };
  std::size_t first = line_of(words.size() - 1);
  if (first > 0) {
    const bool cue = first + 1 == words.size() && text[words[first].end - 1] == ':';
    if (cue) first = line_of(first - 1);
    while (first > 0 && is_option(first)) first = line_of(first - 1);
    return {words[first].begin, text.size()};
  }
  first = words.size() - 1;
  const auto asks_apart = [&](std::size_t word) {
    return std::string_view(".?!").find(text[words[word].end - 1]) != std::string_view::npos;
  };
  while (first > 0 && !asks_apart(first - 1)) --first;
  return {words[first].begin, text.size()};
}

}  // namespace elrt
