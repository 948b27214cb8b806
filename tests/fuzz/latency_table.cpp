// A latency table: read, written and read again as the same, and asked for decisions.
#include <cmath>
#include <filesystem>

#include "elrt/elrt.hpp"
#include "fuzz/memory_file.h"

namespace {

using elastify_fuzz::require;

void decide(const elrt::LatencyTable& table) {
  auto scheduler = elrt::Scheduler::create(table);
  if (!scheduler) return;
  for (const std::uint32_t tokens : {1u, 17u, 4000000000u}) {
    for (const double ratio : {0.2, 1.0}) {
      const elrt::Request request{tokens, 8, {elrt::Slo::Unit::kRatio, ratio, ratio}};
      const auto choice = scheduler->decide(request);
      if (choice) require(choice->predicted.ttft_ms >= 0 && choice->predicted.tpot_ms >= 0);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const elastify_fuzz::MemoryFile file(bytes, size);
  auto table = elrt::LatencyTable::read(file.path());
  if (!table) {
    require(!table.failure().message.empty() && table.failure().message.find('\n') == std::string::npos);
    return 0;
  }
  decide(table.value());
  static const std::string copy =
      (std::filesystem::temp_directory_path() / ("fuzz-table-" + std::to_string(::getpid()))).string();
  require(table->write(copy).ok());
  auto again = elrt::LatencyTable::read(copy);
  ::unlink(copy.c_str());
  require(again.ok());
  require(again->data().tokens == table->data().tokens && again->data().device == table->data().device);
  require(again->data().levels.size() == table->data().levels.size());
  return 0;
}
