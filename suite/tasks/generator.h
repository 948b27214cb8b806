// Draws contexts and questions from a bank.
//
// A context mixes facts with filler sentences in random order. Wrong options are made of values that also stand in the
// context; which facts and values they are is drawn so that neither the options alone, nor question and options without
// the context, tell the right one: every option could have been the answer, with equal chance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/item.h"
#include "tasks/bank.h"

namespace elastify {

// Caps on the family's own ranges and shares of what small models learn last, for example for a curriculum. The suite
// itself has the defaults of the shares: hard questions often enough to count, seldom enough that a model which two
// cores train in two hours can solve nearly all.
struct Difficulty {
  std::size_t max_questions = 1;            // questions over one context, each about another fact
  std::optional<std::int64_t> max_facts{};  // at least 2
  std::optional<std::int64_t> max_filler{};
  std::optional<int> max_hops{};  // 1 or 2
  std::optional<std::size_t>
      max_wordings{};  // of every statement, question, answer and reference: the first so many; at least 1
  std::size_t one_relation =
      0;  // percent of the contexts without hops whose facts are all of one relation: words do not tell them apart
  std::size_t two_hops = 25;  // percent of the contexts whose first question has two hops
  std::size_t read_back =
      25;  // percent of the questions whose answer stands before what it is asked with that may be asked
};

// `text` and `facts` equal those of every item. At least one item, at most max_questions.
struct TaskContext {
  std::string family, text;
  std::vector<TaskFact> facts;
  std::vector<TaskItem> items;
};

class TaskGenerator {
 public:
  explicit TaskGenerator(TaskBank bank) : bank_(std::move(bank)) {}

  // A pure function of the bank and the arguments: equal arguments give equal bytes on every machine, in any order and
  // from any thread. Item ids are FAMILY-SPLIT-INDEX, with .1, .2, ... for further questions.
  // Throws Error(kUsage) on an unknown family or a cap out of range.
  TaskContext generate(Split split, std::string_view family, std::uint64_t seed, std::uint64_t index,
                       const Difficulty& difficulty = {}) const;

  const TaskBank& bank() const { return bank_; }

 private:
  TaskBank bank_;
};

}  // namespace elastify
