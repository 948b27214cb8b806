// Baselines that read nothing: what they score above chance, the suite gives away.
#pragma once

#include "data/item.h"

namespace elastify {

// Each picks the options with the highest figure; the result is the chance that a fair draw among them is right.
//   overlap   share of the option's words that stand in the context
//   mentions  how often the option's words stand in the context, mean over its words
//   fewest    the same, lowest
//   lookup    largest share of the option's words in the sentence that shares most words with the question: a reader
//   with
//             no grammar, which may well score above chance with one hop
//   pairs     does one sentence hold all values of the option: a reader without the question, for whom options of two
//   hops that
//             name a link and another's answer fall away
struct Shortcuts {
  double overlap = 0, mentions = 0, fewest = 0, lookup = 0, pairs = 0;
};

Shortcuts shortcut_chances(const TaskItem& item);

}  // namespace elastify
