// What must hold between the parts of a bank, after each part has been read.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "tasks/bank.h"

namespace elastify {

struct BankSources {
  std::vector<bool> split_pools;        // per pool: written per split, not {"all": ..}
  std::set<std::string> generic_words;  // may stand in values of several splits
};

// Problems: a template of one split in another (slots compared by type, case and spaces folded), a value of one split
// in another, an ask whose answers could not differ. Warnings: a word of values in two splits, a word of validation or
// test templates that training never shows, a template twice in its list, few templates, a family without two-hop
// questions.
void check_bank(const TaskBank& bank, const BankSources& sources, BankReport& report);

}  // namespace elastify
