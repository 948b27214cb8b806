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
  std::size_t fact = 0, ask = 0, answer_wording = 0;
  std::optional<Hop> hop;
  std::string text;  // capital first, a phrase in place of a named slot
  NearMiss near_miss = NearMiss::kValues;
};

const Ask& ask_of(const Draft& draft, const Question& question);

// Are the question's facts the only ones that fit its given values?
bool is_determined(const Draft& draft, const Question& question);

// Does an answer stand before everything that the question names, in the sentence of its fact or of the hop's? "Who
// brings the cake?" of "Leo brings the cake.": a model that reads forward has to keep each sentence's values until
// their key comes.
bool reads_back(const Draft& draft, const Question& question);

// Slots that stand in a template, each once.
std::vector<int> slots_in(const TextTemplate& text);

// Every question with exactly one answer that does not stand in the question itself; in a wording of its own each.
std::vector<Question> single_hop_questions(const Draft& draft);
std::vector<Question> two_hop_questions(const Draft& draft);

}  // namespace elastify
