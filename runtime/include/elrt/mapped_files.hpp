// What happens where a mapped file is made shorter by another process, or its disk fails: the system has no page to
// give and sends SIGBUS to the thread that reads. No check in advance can prevent that, and a library cannot take a
// signal of its host's, so elrt leaves SIGBUS alone: by default it ends the process. A program that asks for it here
// ends with one line and status 3 instead; a host with a handler of its own can name the file by find_mapping(). Who
// replaces files by renaming a new one into place, as all of our tools do, never meets it: the old file lives while it
// is mapped.
#pragma once

#include <cstddef>

#include "elrt/export.h"

namespace elrt {

// Ends the process with status 3 (by _exit) and the line "PROGRAM: cannot read 'FILE': ..." on stderr where a SIGBUS
// comes from a watched mapping; any other SIGBUS takes its default. `program` must live as long as the process.
ELRT_API void end_on_lost_pages(const char* program) noexcept;

// The path of the watched mapping that holds `address`, nullptr if none does. Async-signal-safe. At most 511 bytes of a
// path are kept.
ELRT_API const char* find_mapping(const void* address) noexcept;

// Names the mapped range [begin, begin + bytes) while it lives. Artifacts do so by themselves. Where there are more
// than a few hundred mappings the later ones stay unnamed.
class ELRT_API WatchedMapping {
 public:
  WatchedMapping() = default;
  WatchedMapping(const void* begin, std::size_t bytes, const char* path) noexcept;
  WatchedMapping(WatchedMapping&& other) noexcept;
  WatchedMapping& operator=(WatchedMapping&& other) noexcept;
  ~WatchedMapping();

 private:
  int slot_ = -1;
};

}  // namespace elrt
