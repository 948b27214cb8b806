// The suite as files: every family and split, checked item by item.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "tasks/generator.h"
#include "tasks/recovery_suite.h"

namespace elastify {

struct SuiteRequest {
  fs::path bank = "datasets/tasks";
  fs::path out;  // folder for train.jsonl, validation.jsonl, test.jsonl and recovery.jsonl; empty: none is written
  std::uint64_t seed = 1;
  BySplit<std::int64_t> items{{2000, 300, 500}};  // per family
  std::int64_t questions = 1;  // at most, over each context of the training split; the others have one
  RecoveryRequest recovery;    // recovery.jsonl, where it asks for items
};

// Draws, checks and writes. Families follow each other in turn, items over one context directly. Returns {bank, seed,
// items, families: [{family, split, items, words, options, chance, overlap, mentions, fewest, lookup, pairs, two_hops,
// answer_places}], shared_values, shared_sentences}: words is the mean number in a context, chance that of a fair draw,
// the five baselines are those of shortcuts.h, answer_places the share of right options at each place. shared_values
// counts values of named types, shared_sentences facts' sentences, that stand in two splits. Throws Error(kBadData) on
// a bank with problems, an item that the checker refuses, and named values in two splits.
nlohmann::json make_suite(SuiteRequest request);

std::string format_suite(const nlohmann::json& result);

// `count` items of every family (or of one) as a person reads them, the right option marked.
std::string show_tasks(const TaskGenerator& generator, const std::vector<std::string>& families, Split split,
                       std::uint64_t seed, std::int64_t count);

}  // namespace elastify
