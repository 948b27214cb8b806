// What a phase of the tiny language model's training needs to go on after a stop, in one safetensors file that is whole
// or absent.
#pragma once

#include "base/files.h"
#include "tlm/flat_slots.h"
#include "tlm/train.h"

namespace elastify {

void save_train_progress(const fs::path& path, const FlatSlots& flat, const TlmTrainResult& result);

// Restores values, optimizer and losses; the steps that are done, 0 where there is no file. Throws Error(kBadData) on a
// file that does not fit.
std::int64_t load_train_progress(const fs::path& path, FlatSlots& flat, TlmTrainResult& result);

}  // namespace elastify
