// Documents of random tokens whose answers can only be looked up: what answering from a context is made of, free of
// grammar. Lines of a key and a value; then every key is asked in another order, where the values count: once where the
// value stood before the key, twice otherwise.
#pragma once

#include <cstdint>

#include "pretrain/corpus.h"

namespace elastify {

// How the lines of a document stand. What stood after a key and what stood before it take two circuits; task contexts
// alone teach the second one far more slowly.
struct RecallForm {
  bool value_first = false;  // "who brings the cake?" of "Leo brings the cake"
  bool asked = false;        // later lines have the form of a task's question
  bool invented = false;     // keys and values are words, not random tokens
  bool prose = false;        // lines are sentences after one another
  std::size_t template_tokens =
      0;  // at most, in front of a line's pair, between the two and after, the same in every line
  std::size_t most_between = 0;  // further tokens between the two, other ones in every line
  std::size_t longest = 3;       // tokens or words of a key or a value
};

// A pure function of its arguments. No longer than max_tokens.
WeightedDocument recall_document(const elrt::Tokenizer& tokenizer, const RecallForm& form, std::uint64_t seed,
                                 std::size_t max_tokens);

// Forms of any variety up to the given one. 0: random tokens in lines without anything around a pair; 1: all forms.
// What only values before keys teach is found in minutes in the former, and hardly at all in the mixture.
RecallForm draw_recall_form(std::uint64_t seed, double variety);

}  // namespace elastify
