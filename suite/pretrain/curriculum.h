// How hard the contexts of pretraining are: from a few facts to all that evaluation asks, as fast as answers are
// learned.
//
// What a model of a few million weights must find first, which value belongs to which fact, is found in short contexts
// of one wording in minutes, and in full contexts not in hours: there, every wrong value dilutes the signal of the
// right one. That the facts are of one relation leaves the asked value as the only way to tell them apart.
#pragma once

#include <random>

#include "pretrain/pretrain_config.h"
#include "tasks/generator.h"

namespace elastify {

// The level for the next pool of documents: `level` or a step more if `right` of `answers` were enough; but by the
// share `done` of all training steps at least as much as data.curriculum_share asks. 0..1.
double next_level(const PretrainDataConfig& data, double level, double done, std::int64_t answers, std::int64_t right);

// Level 0: data.curriculum_facts facts, no filler, one wording of everything; 1: what evaluation asks. A share of the
// draws is easier.
Difficulty difficulty_at(double level, const PretrainDataConfig& data, std::mt19937_64& random);

}  // namespace elastify
