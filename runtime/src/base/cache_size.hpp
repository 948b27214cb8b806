// Sizes of the processor's caches, as the system tells them.
#pragma once

#include <unistd.h>

#include <cstddef>

namespace elrt {

// 0: unknown.
inline std::size_t last_level_cache_bytes() {
#ifdef _SC_LEVEL3_CACHE_SIZE
  const long bytes = ::sysconf(_SC_LEVEL3_CACHE_SIZE);
  return bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
#else
  return 0;
#endif
}

}  // namespace elrt
