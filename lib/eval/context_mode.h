// What the model gets to read before the question. Everything but kFull is a control: where answers stand in the
// context, none and shuffled must fall to chance, and half must cost points.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "eval/eval_item.h"

namespace elastify {

enum class ContextMode {
  kFull,
  kNone,      // the question alone
  kShuffled,  // another item's context of the same family
  kHalf,      // without half of its words, drawn at random
};
inline const std::vector<std::string> kContextModes{"full", "none", "shuffled", "half"};

ContextMode context_mode(const std::string& name);  // throws Error(kUsage) on another word

// `text` without half of its words (rounded up), the others in order; line breaks between kept words stay.
std::string half_of_words(std::string_view text, std::uint64_t seed);

// The items with other contexts. What an item gets depends on the seed, its id and all items of its family, not on the
// order in which they are scored. A family without contexts stays as it is, with a warning. Throws Error(kUsage) if no
// item has a context, and for kShuffled where all of a family's contexts are the same.
std::vector<EvalItem> with_contexts(std::vector<EvalItem> items, ContextMode mode, std::uint64_t seed);

}  // namespace elastify
