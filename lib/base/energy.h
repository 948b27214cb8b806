// Energy that the processors used, as the kernel counts it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/files.h"

namespace elastify {

// Linux's powercap files of whole packages (RAPL): `root`/intel-rapl:N/energy_uj, which AMD's processors have under the
// same name. Most systems let only root read them.
class EnergyMeter {
 public:
  explicit EnergyMeter(fs::path root = "/sys/class/powercap");
  // Since construction, over all packages, whatever ran meanwhile; nothing where the machine does not tell. A counter
  // that began again at zero once is made good; asked less often than that, energy is lost (minutes under full load).
  std::optional<double> joules() const;

 private:
  std::map<fs::path, std::uint64_t> counters() const;  // microjoules, by package
  fs::path root_;
  std::map<fs::path, std::uint64_t> start_;
};

}  // namespace elastify
