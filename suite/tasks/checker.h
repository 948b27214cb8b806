// Derives an item's answer again from what the item says, without the bank and without the generator.
#pragma once

#include <string>
#include <vector>

#include "data/item.h"

namespace elastify {

// What is wrong with the item, one line each; empty where all holds:
//   its spans lie in the context, at least one character long and not inside one; each fact's values stand in its
//   sentence its query has exactly one answer, the right option; no other option is an answer; options differ, case and
//   spaces apart every option's values stand in the option and in the context; the answer's own values are not in the
//   question every value that the query names stands in the question; relevant spans are the sentences of the facts
//   that it uses
// An item without a query cannot be checked, which is a problem as well.
std::vector<std::string> check_task(const TaskItem& item);

}  // namespace elastify
