// Pages of the mapping that a level does not use.
#pragma once

#include <cstdint>

#include "model/level_view.hpp"

namespace elrt {

// Tells the system that this process does not need, for now, what lies after `view`'s prefix of each matrix, nor other
// levels' adapters. Whoever reads there gets the same bytes again, from the page cache or the file. Returns the bytes
// given up, in whole pages.
std::uint64_t reclaim(const Model& model, const LevelView& view);

}  // namespace elrt
