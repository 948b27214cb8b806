#include "base/memory.h"

#include <malloc.h>

#include <fstream>
#include <string>

namespace elastify {
namespace {

// A line of /proc/self/status, "VmRSS:     1234 kB".
std::int64_t status_bytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::int64_t kib = 0;
    if (word == name && status >> kib) return kib * 1024;
  }
  return 0;
}

}  // namespace

std::int64_t resident_bytes() { return status_bytes("VmRSS:"); }
std::int64_t peak_resident_bytes() { return status_bytes("VmHWM:"); }

void restart_peak() {
  std::ofstream clear("/proc/self/clear_refs");
  clear << "5";  // resets the peak, see proc(5)
}

void trim_memory() { ::malloc_trim(0); }

}  // namespace elastify
