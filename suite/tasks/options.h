// Right and wrong options of a question.
//
// Without the context, every option must be as likely as any other:
//   values  all options are one answer template; the values are drawn from one pool, so that none looks more right.
//   With
//           two or more answer slots they form a grid (a1 b1, a1 b2, a2 b1, a2 b2), in which every value stands equally
//           often, or differ in every slot; a wrong option that shared more with the others than the right one does
//           would tell it by majority.
//   lent    the options are answers to the same question about different facts of the context, chosen evenly.
//   linked  of two hops: an answer names what its first hop finds, then what its second one does ("Leo: room 4"), as
//   models that
//           write their steps down answer what they cannot look up in one (Wei et al. 2022). The options are the right
//           and a wrong one of either, combined: each hop alone leaves two of four.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tasks/question.h"

namespace elastify {

inline constexpr std::size_t kOptions = 4;

struct Options {
  std::vector<std::string> texts;                // in random order; pairwise different, case and spaces apart
  std::vector<std::vector<std::string>> values;  // per option, those of answer slots and of given slots in the answer
  std::size_t right = 0;
};

// The words of the right answer; of two hops, after the slot that links them.
TextTemplate answer_template(const Draft& draft, const Question& question);

// Values of the context that could stand in `slot` of a wrong answer: of its pool, not the right one, not in the
// question. Those that stand in the same slot of other facts come first, both parts in random order.
std::vector<std::string> rival_values(const Draft& draft, const Question& question, int slot);

// Facts, the question's own among them, that have an ask of its kind with the same questions: only then do the words of
// the question not tell which answers belong to it.
std::vector<std::size_t> lenders(const Draft& draft, const Question& question);

// At most kOptions; fewer, or the right one alone, where the context has no more values.
Options make_options(const Draft& draft, const Question& question);

// The text of an answer: a sentence starts with a capital.
std::string answer_text(const std::string& filled);

}  // namespace elastify
