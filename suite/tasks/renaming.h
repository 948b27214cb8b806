// Invented names in training contexts. A bank holds a few hundred names of a kind: a model that reads nothing else
// learns them by heart and answers with them. Names that never come twice leave copying from the context as the only
// way.
#pragma once

#include <random>
#include <string>

#include "tasks/generator.h"

namespace elastify {

// A pronounceable word of one to three syllables, lower case, such as "brendo".
std::string invent_word(std::mt19937_64& random);

// Renames each named value of the facts with chance `share`, alike wherever it stands in the context, the questions and
// the options, in the query's given values too. Closed classes (days, prices, ...) keep their values. What only
// checkers read (spans, facts) is left stale.
void rename_values(TaskContext& context, const TaskBank& bank, double share, std::mt19937_64& random);

}  // namespace elastify
