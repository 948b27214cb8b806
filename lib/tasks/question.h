// Which questions a drafted context can answer.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "tasks/draft.h"

namespace elastify {

// The given slot `slot` of the asked fact is named through `fact`: its slot `refer_slot`, in the words of one phrase.
struct Hop {
  std::size_t fact = 0;
  int slot = 0, refer_slot = 0;
  std::size_t wording = 0;
};

// How wrong options are made: other values in the same words, or whole answers of other asks of the same kind.
enum class NearMiss { kValues, kLent };

struct Question {
  std::size_t fact = 0, ask = 0, wording = 0, answer_wording = 0;
  std::optional<Hop> hop;
  NearMiss near_miss = NearMiss::kValues;
};

const Ask& ask_of(const Draft& draft, const Question& question);

// Values that the question's text names: those of given slots, or of the phrase that stands for one.
std::vector<std::string> named_values(const Draft& draft, const Question& question);

// Slots that stand in a template, each once.
std::vector<int> slots_in(const TextTemplate& text);

// Every question with exactly one answer, whose answer is not in its own words; wordings are not chosen yet.
std::vector<Question> single_hop_questions(const Draft& draft);
std::vector<Question> two_hop_questions(const Draft& draft);

// The question's words: capital first, a phrase in place of a named slot.
std::string question_text(const Draft& draft, const Question& question);

}  // namespace elastify
