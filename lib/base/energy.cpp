#include "base/energy.h"

#include <fstream>

namespace elastify {
namespace {

std::optional<std::uint64_t> read_number(const fs::path& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

// "intel-rapl:0" is a package, "intel-rapl:0:1" a part of one.
bool is_package(const std::string& name) {
  return name.rfind("intel-rapl:", 0) == 0 && name.find(':') == name.rfind(':');
}

}  // namespace

EnergyMeter::EnergyMeter(fs::path root) : root_(std::move(root)), start_(counters()) {}

std::map<fs::path, std::uint64_t> EnergyMeter::counters() const {
  std::map<fs::path, std::uint64_t> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root_, error)) {
    if (!is_package(entry.path().filename().string())) continue;
    if (const auto value = read_number(entry.path() / "energy_uj")) found[entry.path()] = *value;
  }
  return found;
}

std::optional<double> EnergyMeter::joules() const {
  if (start_.empty()) return std::nullopt;
  const auto now = counters();
  double sum = 0;
  for (const auto& [package, begin] : start_) {
    const auto found = now.find(package);
    if (found == now.end()) return std::nullopt;
    double used = static_cast<double>(found->second) - static_cast<double>(begin);
    if (used < 0) used += static_cast<double>(read_number(package / "max_energy_range_uj").value_or(0));
    sum += used;
  }
  return sum / 1e6;
}

}  // namespace elastify
