#include "pipeline/state_memory.h"

#include <sys/sysinfo.h>

#include "base/log.h"
#include "base/memory.h"

namespace elastify {

void state_memory(const StageContext& context, const char* stage, double bytes) {
  const double all = bytes + static_cast<double>(resident_bytes());
  if (context.stated_bytes != nullptr) *context.stated_bytes = all;
  spdlog::info("{}: needs about {} of memory", stage, format_bytes(all));
  struct sysinfo info {};
  if (::sysinfo(&info) != 0 || !context.device.is_cpu()) return;
  const double there = static_cast<double>(info.totalram) * info.mem_unit;
  if (all <= there) return;
  spdlog::warn(
      "{}: this machine has {} of memory ({} free): lower batch_rows or seq, or expect the system to end the run",
      stage, format_bytes(there), format_bytes(static_cast<double>(info.freeram + info.bufferram) * info.mem_unit));
}

double mapped_bytes(const Checkpoint& checkpoint) {
  const auto types = checkpoint.stored_types();
  if (types.size() == 1 && types.contains("F32")) return 0;
  double bytes = 0;
  for (const auto& file : checkpoint.files()) bytes += static_cast<double>(fs::file_size(file));
  return bytes;
}

}  // namespace elastify
