// Wordings that no template holds. A bank has a dozen wordings of a statement; a model that reads nothing else leans on
// every word of them, and answers worse where others ask the same. Words that go or turn into invented ones leave it
// what is always there: the values and their places (word dropout, Iyyer et al. 2015; random deletion, Wei and Zou
// 2019).
#pragma once

#include <random>

#include "tasks/generator.h"

namespace elastify {

// Each word of the context and of the questions that is part of no fact's value and no answer goes or becomes an
// invented one, both with chance share / 2. Before rename_values(): it reads the facts' values as they stand in the
// text.
void add_word_noise(TaskContext& context, double share, std::mt19937_64& random);

}  // namespace elastify
