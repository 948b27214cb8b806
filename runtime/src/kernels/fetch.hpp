// Weights that will be read soon, on their way from memory.
#pragma once

#include <cstddef>

namespace elrt {

// Into the second-level cache: it takes more lines at once than the first, which decides the speed at a memory's
// latency.
inline void fetch(const void* data, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += 64) __builtin_prefetch(static_cast<const char*>(data) + at, 0, 2);
}

}  // namespace elrt
