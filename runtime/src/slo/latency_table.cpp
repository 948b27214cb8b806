#include "elrt/latency_table.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>

#include <unistd.h>

#include "base/guarded.hpp"
#include "base/read_whole.hpp"
#include "elrt/format.h"

namespace elrt {
namespace {

constexpr double kMaxMs = 1e9;  // eleven days

// `lowest` is what a value must exceed.
Result<void> check_curve(const std::vector<double>& curve, std::size_t lengths, double lowest,
                         const std::string& name) {
  if (curve.size() != lengths) {
    return bad_data(name + " has " + std::to_string(curve.size()) + " values, expected one for each of " +
                    std::to_string(lengths) + " lengths");
  }
  for (std::size_t i = 0; i < curve.size(); ++i) {
    if (!(curve[i] > lowest && curve[i] <= kMaxMs)) {
      return bad_data(name + "[" + std::to_string(i) + "] is " + std::to_string(curve[i]) +
                      " ms, expected a time of at most " + std::to_string(kMaxMs));
    }
    if (i > 0 && curve[i] < curve[i - 1])
      return bad_data(name + " falls at value " + std::to_string(i) + "; latency cannot fall with length");
  }
  return {};
}

template <typename Values, typename Get>
bool ascends(const Values& values, Get get) {
  return std::adjacent_find(values.begin(), values.end(),
                            [&](const auto& a, const auto& b) { return get(a) >= get(b); }) == values.end();
}

Result<void> check_lengths(const std::vector<std::uint32_t>& tokens) {
  if (tokens.empty() || tokens.size() > kMaxLatencyLengths) {
    return bad_data("tokens has " + std::to_string(tokens.size()) + " lengths, expected 1 to " +
                    std::to_string(kMaxLatencyLengths));
  }
  if (tokens.front() == 0 || tokens.back() > format::kMaxContext ||
      !ascends(tokens, [](std::uint32_t n) { return n; })) {
    return bad_data("tokens must be ascending lengths from 1 to " + std::to_string(format::kMaxContext));
  }
  return {};
}

Result<void> check_levels(const LatencyData& data) {
  if (data.levels.empty() || data.levels.size() > format::kMaxLevels || data.levels.front().level == 0 ||
      data.levels.back().level != format::kFullLevel ||
      !ascends(data.levels, [](const LevelLatency& l) { return l.level; })) {
    return bad_data("levels must be ascending percentages of which the last is 100");
  }
  for (const LevelLatency& level : data.levels) {
    const std::string name = "level " + std::to_string(level.level);
    if (auto done = check_curve(level.ttft_ms, data.tokens.size(), 0, name + " ttft_ms"); !done) return done;
    if (auto done = check_curve(level.tpot_ms, data.tokens.size(), 0, name + " tpot_ms"); !done) return done;
  }
  return {};
}

Result<void> check_data(const LatencyData& data) {
  if (data.threads == 0) return bad_data("threads is 0, expected at least 1");
  if (auto done = check_lengths(data.tokens); !done) return done;
  if (auto done = check_levels(data); !done) return done;
  constexpr double kBelowZero = -std::numeric_limits<double>::denorm_min();  // zero itself is allowed
  for (const auto& [curve, name] :
       {std::pair{&data.tlm.decision_ms, "tlm decision_ms"}, {&data.tlm.score_ms, "tlm score_ms"}}) {
    if (curve->empty()) continue;
    if (auto done = check_curve(*curve, data.tokens.size(), kBelowZero, name); !done) return done;
  }
  return {};
}

}  // namespace

Result<std::string> device_description() {
  std::string info, name;
  const int reason = read_whole("/proc/cpuinfo", std::size_t{1} << 26, info);
  if (reason != 0 && reason != ENOENT)
    return internal_error(std::string("cannot read /proc/cpuinfo: ") + std::strerror(reason));
  for (std::string_view rest = info; name.empty() && !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    // x86 gives a name; ARM often only the number of the core's design.
    if (!line.starts_with("model name") && !line.starts_with("CPU part")) continue;
    const std::size_t value = line.find(": ");
    if (value != std::string_view::npos) name = line.substr(value + 2);
  }
  const long processors = sysconf(_SC_NPROCESSORS_CONF);  // all of them, whatever this process may use
  return (name.empty() ? "unknown processor" : name) + ", " + std::to_string(processors) + " processors";
}

Result<LatencyTable> LatencyTable::create(LatencyData data) {
  return guarded("check the latency table", [&]() -> Result<LatencyTable> {
    if (auto done = check_data(data); !done) return done.take_failure();
    return LatencyTable(std::move(data));
  });
}

std::filesystem::path LatencyTable::default_path(const std::filesystem::path& artifact) {
  return artifact.string() + ".latency.json";
}

Result<void> LatencyTable::check(const Artifact& artifact, std::uint32_t threads, KvType kv_type) const {
  return guarded("check the latency table", [&]() -> Result<void> {
    const std::string file = "'" + artifact.path().string() + "'",
                      tools = "elrt_calibrate, or elastic-run calibrate " + artifact.path().string(),
                      next = "; measure again with " + tools;
    if (data_.artifact != artifact.identity())
      return bad_data("the latency table was measured with another artifact than " + file + next);
    const auto device = device_description();
    if (!device) return device.failure();
    if (data_.device != device.value()) {
      return bad_data("the latency table was measured on another device ('" + data_.device + "') than this one ('" +
                      device.value() + "')" + next);
    }
    const auto& levels = artifact.levels();
    if (!std::equal(levels.begin(), levels.end(), data_.levels.begin(), data_.levels.end(),
                    [](const auto& a, const auto& b) { return a.level == b.level; })) {
      return bad_data("the latency table's levels are not those of " + file + next);
    }
    if (artifact.tlm() != nullptr && (data_.tlm.decision_ms.empty() || data_.tlm.score_ms.empty())) {
      return bad_data("the latency table lacks the times of the tiny language model in " + file + next);
    }
    if (data_.threads != threads) {
      return invalid_argument("the latency table was measured with " + std::to_string(data_.threads) + " threads, " +
                              std::to_string(threads) + " are used; set threads to " + std::to_string(data_.threads) +
                              ", or measure again with " + std::to_string(threads) + ": " + tools);
    }
    if (data_.kv_type != kv_type) {
      const std::string measured = kv_type_name(data_.kv_type), used = kv_type_name(kv_type);
      return invalid_argument("the latency table was measured with a cache of " + measured + ", " + used +
                              " is used; set kv_type to " + measured + ", or measure again with " + used + ": " +
                              tools);
    }
    return {};
  });
}

double LatencyTable::predict(const std::vector<double>& curve, std::uint32_t tokens, int growth) const {
  const std::vector<std::uint32_t>& at = data_.tokens;
  if (tokens <= at.front()) return curve.front();
  if (tokens >= at.back()) return curve.back() * std::pow(static_cast<double>(tokens) / at.back(), growth);
  const auto right = static_cast<std::size_t>(std::upper_bound(at.begin(), at.end(), tokens) - at.begin());
  const double share = static_cast<double>(tokens - at[right - 1]) / (at[right] - at[right - 1]);
  return curve[right - 1] + share * (curve[right] - curve[right - 1]);
}

const LevelLatency* LatencyTable::find(std::uint32_t level) const {
  const auto found =
      std::find_if(data_.levels.begin(), data_.levels.end(), [&](const LevelLatency& l) { return l.level == level; });
  return found == data_.levels.end() ? nullptr : &*found;
}

double LatencyTable::ttft_ms(std::uint32_t level, std::uint32_t prompt_tokens) const {
  const LevelLatency* found = find(level);
  return found == nullptr ? std::numeric_limits<double>::infinity() : predict(found->ttft_ms, prompt_tokens, 2);
}

double LatencyTable::tpot_ms(std::uint32_t level, std::uint32_t context_tokens) const {
  const LevelLatency* found = find(level);
  return found == nullptr ? std::numeric_limits<double>::infinity() : predict(found->tpot_ms, context_tokens, 1);
}

double LatencyTable::decision_ms(std::uint32_t prompt_tokens) const {
  return data_.tlm.decision_ms.empty() ? 0 : predict(data_.tlm.decision_ms, prompt_tokens, 2);
}

double LatencyTable::score_ms(std::uint32_t prompt_tokens) const {
  return data_.tlm.score_ms.empty() ? 0 : predict(data_.tlm.score_ms, prompt_tokens, 2);
}

}  // namespace elrt
