#include "evaluate/trace.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "base/error.h"

namespace elastify {
namespace {

// Standard distributions differ by library: equal bits for equal seeds everywhere.
double uniform(std::mt19937_64& random) { return (static_cast<double>(random() >> 11) + 0.5) / 9007199254740992.0; }

template <typename T>
void shuffle(std::vector<T>& values, std::mt19937_64& random) {
  for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random() % i]);
}

// Whole counts that sum to `total`, nearest to the shares: largest remainders first.
std::vector<std::int64_t> counts_of(const std::vector<double>& shares, std::int64_t total) {
  std::vector<std::int64_t> counts;
  std::vector<std::size_t> order(shares.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (const double share : shares)
    counts.push_back(static_cast<std::int64_t>(std::floor(share * static_cast<double>(total))));
  const auto remainder = [&](std::size_t i) {
    return shares[i] * static_cast<double>(total) - static_cast<double>(counts[i]);
  };
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return remainder(a) > remainder(b); });
  std::int64_t left = total - std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  for (std::size_t i = 0; left > 0; i = (i + 1) % order.size(), --left) ++counts[order[i]];
  return counts;
}

}  // namespace

const std::vector<TraceApp>& trace_apps() {
  static const std::vector<TraceApp> apps = {{"recorder", {1.0, 1.0}},    {"mail", {0.8, 0.9}},
                                             {"API calling", {0.6, 0.8}}, {"UI shortcuts", {0.4, 0.7}},
                                             {"smart reply", {0.2, 0.6}}, {"voice assistant", {0.2, 0.5}}};
  return apps;
}

std::vector<double> app_shares(double alpha) {
  std::vector<double> shares;
  double sum = 0;
  for (std::size_t i = 1; i <= trace_apps().size(); ++i) {
    shares.push_back(std::exp(alpha * static_cast<double>(i)));
    sum += shares.back();
  }
  for (double& share : shares) share /= sum;
  return shares;
}

std::vector<TraceRequest> make_trace(const TraceConfig& config, const std::vector<std::int64_t>& tasks) {
  require(!tasks.empty() && config.requests > 0 && config.gap_ms >= 0, "a trace needs tasks and requests");
  std::mt19937_64 random(config.seed);
  std::vector<std::size_t> apps;
  const auto counts = counts_of(app_shares(config.alpha), config.requests);
  for (std::size_t app = 0; app < counts.size(); ++app)
    apps.insert(apps.end(), static_cast<std::size_t>(counts[app]), app);
  shuffle(apps, random);
  std::vector<std::int64_t> asked;
  while (asked.size() < apps.size()) {
    std::vector<std::int64_t> round = tasks;
    shuffle(round, random);
    asked.insert(asked.end(), round.begin(), round.end());
  }
  std::vector<TraceRequest> trace;
  double now = 0;
  for (std::size_t i = 0; i < apps.size(); ++i) {
    now += -std::log(uniform(random)) * config.gap_ms;
    trace.push_back({now, apps[i], asked[i]});
  }
  return trace;
}

}  // namespace elastify
