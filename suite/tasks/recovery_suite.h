// What sub-models are recovered on. The training split's items are sentences of a few templates; recovery on them alone
// fits those sentences, and costs accuracy on others at the levels that had lost little. So contexts are drawn as
// pretraining draws them: invented names, and words that no fact needs gone or replaced.
#pragma once

#include <cstdint>

#include "base/files.h"
#include "tasks/generator.h"

namespace elastify {

struct RecoveryRequest {
  std::int64_t items = 0;      // per family; 0: none
  std::int64_t questions = 5;  // at most, over one context
  double rename_share = 0.4;   // of a context's named values that become invented names
  double word_noise = 0.4;     // of a context's words that no fact needs, the share that goes or is replaced: from 0 to
                               // this, drawn for every context
};

// JSONL as item.h has it, families in turn, items over one context directly one after the other; training split, other
// contexts than those of train.jsonl. The fields that only checkers read are left out: they no longer hold.
void write_recovery_items(const TaskGenerator& generator, const RecoveryRequest& request, std::uint64_t seed,
                          const fs::path& path);

}  // namespace elastify
