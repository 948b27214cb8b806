// How much memory this process holds, as the system counts it (Linux; 0 where it does not say).
#pragma once

#include <cstdint>

namespace elastify {

std::int64_t resident_bytes();
// The most since the start of the process, or since the last restart_peak().
std::int64_t peak_resident_bytes();
void restart_peak();

// Gives memory that is free but kept for later allocations back to the system.
void trim_memory();

}  // namespace elastify
