#include "service/calibrate_tlm.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/isotonic.hpp"
#include "base/medians.hpp"
#include "elrt/compression.hpp"
#include "elrt/generator.hpp"

namespace elrt {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kSentences =
    "Maya brings the lemon cake to room 12 at half past nine. Please send the updated report to Jonas before Friday, 4 "
    "p.m. "
    "- The second meeting was moved to the blue office.\n- Who has the keys? Leo left them on the kitchen table, I "
    "think. "
    "Call the garage about the car; it should not cost more than $250.\n";

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Whole sentences and the words after them, `tokens` tokens or a few more.
Result<std::string> prompt_of(const Tokenizer& tokenizer, std::uint32_t tokens) {
  std::string text;
  std::size_t at = 0;
  for (std::size_t found = 0; found < tokens;) {
    // As many words as could be missing, by a token a word: never too many, and few rounds.
    for (std::size_t words = std::max<std::size_t>(1, (tokens - found) / 4); words > 0;) {
      const char c = kSentences[at++ % kSentences.size()];
      text += c;
      words -= c == ' ' || c == '\n' ? 1 : 0;
    }
    auto ids = prompt_tokens(tokenizer, text);
    if (!ids) return ids.take_failure();
    if (ids->size() <= found && text.size() > 2 * kSentences.size()) {
      return bad_data("the artifact's tokenizer makes " + std::to_string(found) +
                      " tokens of English text, however long; prompts cannot be measured with it");
    }
    found = ids->size();
  }
  return text;
}

}  // namespace

TlmTimer::TlmTimer(Tlm tlm, std::shared_ptr<const Tokenizer> tokenizer, std::vector<std::string> prompts)
    : tlm_(std::move(tlm)), tokenizer_(std::move(tokenizer)), prompts_(std::move(prompts)), samples_(prompts_.size()) {}

Result<TlmTimer> TlmTimer::create(const Artifact& artifact, std::uint32_t threads,
                                  const std::vector<std::uint32_t>& lengths) {
  auto tokenizer = artifact.tokenizer();
  if (!tokenizer) return tokenizer.take_failure();
  auto tlm = Tlm::create(artifact, threads);
  if (!tlm) return tlm.take_failure();
  std::vector<std::string> prompts;
  for (const std::uint32_t length : lengths) {
    auto prompt = prompt_of(*tokenizer.value(), length);
    if (!prompt) return prompt.take_failure();
    prompts.push_back(std::move(prompt).value());
  }
  return TlmTimer(std::move(tlm).value(), std::move(tokenizer).value(), std::move(prompts));
}

// What service.cpp does of a request: pieces and decision, then scores, compression and the language model's tokens.
Result<TlmTimer::Times> TlmTimer::run(const std::string& prompt) {
  constexpr SloRatios kSlo{0.5, 0.5};
  constexpr std::uint32_t kPromptLevel = 50;
  Times times;
  const auto start = Clock::now();
  auto pieces = tlm_.wordpiece().encode(prompt);
  if (!pieces) return pieces.take_failure();
  const TextSpan question = find_question(prompt, pieces->words);
  tlm_.wordpiece().mark_question(pieces.value(), question);
  if (auto decided = tlm_.decide(pieces.value(), kSlo); !decided) return decided.take_failure();
  times.decision_ms = ms_since(start);
  const auto score_start = Clock::now();
  auto scores = tlm_.score_words(pieces.value(), kSlo);
  if (!scores) return scores.take_failure();
  const KeepRules rules{{question}};
  auto made = compress_prompt(prompt, pieces->words, sentence_scores(prompt, pieces->words, scores.value(), question),
                              kPromptLevel, rules);
  if (!made) return made.take_failure();
  if (auto tokens = prompt_tokens(*tokenizer_, made->text); !tokens) return tokens.take_failure();
  times.score_ms = ms_since(score_start);
  return times;
}

Result<void> TlmTimer::warm_up() {
  if (auto done = run(prompts_.front()); !done) return done.take_failure();
  return {};
}

Result<void> TlmTimer::measure(std::size_t index) {
  auto times = run(prompts_[index]);
  if (!times) return times.take_failure();
  samples_[index].push_back(times.value());
  return {};
}

std::vector<double> TlmTimer::median_of(double Times::*field) const {
  std::vector<double> row;
  for (const auto& repeats : samples_) {
    std::vector<double> values;
    for (const Times& times : repeats) values.push_back(times.*field);
    row.push_back(median(std::move(values)));
  }
  fit_non_decreasing(row);
  return row;
}

TlmLatency TlmTimer::medians() const { return {median_of(&Times::decision_ms), median_of(&Times::score_ms)}; }

}  // namespace elrt
