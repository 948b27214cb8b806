#include "elrt/scheduler.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "base/guarded.hpp"
#include "base/random.hpp"

namespace elrt {
namespace {

constexpr Decision kFullDecision{100, 100};

std::uint32_t nominal_tokens(const Request& request, Decision decision) {
  return static_cast<std::uint32_t>((std::uint64_t{request.prompt_tokens} * decision.prompt_level + 99) / 100);
}

// A single token is there with the TTFT.
bool has_tpot(const Request& request) { return request.output_tokens != 1; }

Result<void> check_options(const SchedulerOptions& options) {
  const auto& levels = options.prompt_levels;
  if (levels.empty() || levels.front() == 0 || levels.back() != 100 ||
      std::adjacent_find(levels.begin(), levels.end(), std::greater_equal<>()) != levels.end()) {
    return invalid_argument("prompt levels must be ascending percentages of which the last is 100");
  }
  if (!(options.margin >= 0 && options.margin <= 1)) {
    return invalid_argument("the margin is " + std::to_string(options.margin) + ", expected 0 to 1");
  }
  for (const ExpectedAccuracy& entry : options.accuracy) {
    if (!std::isfinite(entry.accuracy)) return invalid_argument("an expected accuracy is not finite");
  }
  return {};
}

Result<void> check_side(const char* name, double value, Slo::Unit unit) {
  const bool ratio = unit == Slo::Unit::kRatio;
  if (value > 0 && std::isfinite(value) && (!ratio || value <= 1)) return {};
  return invalid_argument(std::string("the objective's ") + name + " is " + std::to_string(value) +
                          (ratio ? "" : " ms") + ", expected above 0" +
                          (ratio ? " and at most 1, the full model's latency" : ""));
}

Result<void> check_request(const Request& request) {
  if (request.prompt_tokens == 0) return invalid_argument("the prompt has no tokens");
  if (auto done = check_side("TTFT", request.slo.ttft, request.slo.unit); !done) return done;
  return check_side("TPOT", request.slo.tpot, request.slo.unit);
}

// By how much of the limits the latency is used at most: above 1, it misses them.
double use_of(const Request& request, const Latency& latency, const Latency& limits) {
  const double ttft = latency.ttft_ms / limits.ttft_ms;
  return has_tpot(request) ? std::max(ttft, latency.tpot_ms / limits.tpot_ms) : ttft;
}

}  // namespace

Scheduler::Scheduler(LatencyTable table, SchedulerOptions options)
    : table_(std::move(table)), options_(std::move(options)), random_state_(options_.seed) {
  for (const LevelLatency& level : table_.data().levels) {
    for (const std::uint32_t prompt_level : options_.prompt_levels) decisions_.push_back({level.level, prompt_level});
  }
}

Result<Scheduler> Scheduler::create(LatencyTable table, SchedulerOptions options) {
  return guarded("create a scheduler", [&]() -> Result<Scheduler> {
    if (auto done = check_options(options); !done) return done.take_failure();
    return Scheduler(std::move(table), std::move(options));
  });
}

Latency Scheduler::full_latency(const Request& request) const {
  return of_model(request, kFullDecision, request.prompt_tokens);
}

Latency Scheduler::limits(const Request& request) const {
  if (request.slo.unit == Slo::Unit::kMilliseconds) return {request.slo.ttft, request.slo.tpot};
  const Latency full = full_latency(request);
  return {request.slo.ttft * full.ttft_ms, request.slo.tpot * full.tpot_ms};
}

Latency Scheduler::of_model(const Request& request, Decision decision, std::uint32_t kept) const {
  const std::uint64_t context = std::min<std::uint64_t>(std::uint64_t{kept} + request.output_tokens / 2,
                                                        std::numeric_limits<std::uint32_t>::max());
  return {table_.ttft_ms(decision.model_level, kept),
          table_.tpot_ms(decision.decode_level, static_cast<std::uint32_t>(context))};
}

Latency Scheduler::by_table(const Request& request, Decision decision, std::uint32_t kept) const {
  Latency latency = of_model(request, decision, kept);
  latency.ttft_ms += tlm_latency(request, decision).ttft_ms;
  return latency;
}

Latency Scheduler::predict(const Request& request, Decision decision) const {
  return predict(request, decision, nominal_tokens(request, decision));
}

Latency Scheduler::predict(const Request& request, Decision decision, std::uint32_t kept) const {
  return paced(by_table(request, decision, kept));
}

Latency Scheduler::tlm_latency(const Request& request, Decision decision) const {
  Latency latency;
  if (options_.decision_head || decision.prompt_level < 100)
    latency.ttft_ms += table_.decision_ms(request.prompt_tokens);
  if (decision.prompt_level < 100) latency.ttft_ms += table_.score_ms(request.prompt_tokens);
  return latency;
}

bool Scheduler::keeps(const Request& request, Latency latency) const {
  const Latency most = limits(request);
  const double growth = 1 + options_.margin;
  return latency.ttft_ms * growth <= most.ttft_ms && (!has_tpot(request) || latency.tpot_ms * growth <= most.tpot_ms);
}

bool Scheduler::fits(const Request& request, Decision decision) const {
  return request.context_tokens == 0 || nominal_tokens(request, decision) <= request.context_tokens;
}

std::vector<std::uint32_t> Scheduler::decode_levels(const Request& request, std::uint32_t model_level) const {
  if (!options_.phases || !has_tpot(request)) return {model_level};
  std::vector<std::uint32_t> found;
  for (const LevelLatency& level : table_.data().levels) {
    if (level.level <= model_level) found.insert(found.begin(), level.level);
  }
  return found;
}

std::optional<Decision> Scheduler::completed(const Request& request, Decision pair, std::uint32_t kept) const {
  for (const std::uint32_t level : decode_levels(request, pair.model_level)) {
    const Decision decision{pair.model_level, pair.prompt_level, level};
    if (keeps(request, predict(request, decision, kept))) return decision;
  }
  return std::nullopt;
}

std::optional<Decision> Scheduler::completed(const Request& request, Decision pair) const {
  const Decision listed{pair.model_level, pair.prompt_level};
  const bool offered = std::find(decisions_.begin(), decisions_.end(), listed) != decisions_.end();
  return offered && fits(request, pair) ? completed(request, pair, nominal_tokens(request, pair)) : std::nullopt;
}

bool Scheduler::feasible(const Request& request, Decision decision) const {
  const auto levels = decode_levels(request, decision.model_level);
  return std::find(levels.begin(), levels.end(), decision.decode_level) != levels.end() &&
         completed(request, decision).has_value() && keeps(request, predict(request, decision));
}

bool Scheduler::possible(const Request& request) const {
  const Latency most = limits(request);
  const auto keeps_it = [&](Decision pair, auto latency_of) {
    const auto levels = decode_levels(request, pair.model_level);
    return fits(request, pair) && std::any_of(levels.begin(), levels.end(), [&](std::uint32_t level) {
             const Decision decision{pair.model_level, pair.prompt_level, level};
             return use_of(request, latency_of(decision), most) <= 1;
           });
  };
  const auto unasked = [&](Decision d) { return of_model(request, d, request.prompt_tokens); };
  const auto asked = [&](Decision d) { return by_table(request, d, nominal_tokens(request, d)); };
  return keeps_it(kFullDecision, unasked) ||
         std::any_of(decisions_.begin(), decisions_.end(), [&](Decision d) { return keeps_it(d, asked); });
}

Result<std::optional<Choice>> Scheduler::full_decision(const Request& request) const {
  return guarded("decide", [&]() -> Result<std::optional<Choice>> {
    if (auto done = check_request(request); !done) return done.take_failure();
    if (!fits(request, kFullDecision)) return std::optional<Choice>{};
    for (const std::uint32_t level : decode_levels(request, kFullDecision.model_level)) {
      const Decision decision{kFullDecision.model_level, kFullDecision.prompt_level, level};
      const Latency latency = paced(of_model(request, decision, request.prompt_tokens));
      if (keeps(request, latency))
        return std::optional<Choice>({decision, Choice::Source::kFull, latency, limits(request)});
    }
    return std::optional<Choice>{};
  });
}

Choice Scheduler::settle(const Request& request, Choice choice, std::uint32_t kept) const {
  const auto settled = [&](Decision decision, Choice::Source source) {
    return Choice{decision, source, predict(request, decision, kept), choice.limits};
  };
  if (!choice.feasible()) return settled(choice.decision, choice.source);
  std::vector<Decision> pairs;  // of this prompt level, the largest model level first
  for (const LevelLatency& level : table_.data().levels)
    pairs.insert(pairs.begin(), Decision{level.level, choice.decision.prompt_level});
  for (const Decision pair : pairs) {
    if (pair.model_level > choice.decision.model_level) continue;
    const bool same = pair.model_level == choice.decision.model_level;
    if (const auto decision = completed(request, pair, kept))
      return settled(*decision, same ? choice.source : Choice::Source::kFallback);
  }
  return settled(fastest(request, pairs, kept), Choice::Source::kFastest);
}

Result<Choice> Scheduler::decide(const Request& request, std::optional<Decision> proposed,
                                 std::span<const ExpectedAccuracy> of_prompt) {
  return guarded("decide", [&]() -> Result<Choice> {
    if (auto done = check_request(request); !done) return done.take_failure();
    Choice choice;
    choice.limits = limits(request);
    if (const auto taken = proposed ? completed(request, *proposed) : std::nullopt) {
      choice.decision = *taken;
      choice.source = Choice::Source::kProposed;
    } else {
      std::vector<Decision> offered;
      for (const Decision pair : decisions_) {
        if (const auto decision = completed(request, pair)) offered.push_back(*decision);
      }
      choice.source = offered.empty() ? Choice::Source::kFastest : Choice::Source::kFallback;
      if (offered.empty()) {
        choice.decision = fastest(request, decisions_, std::nullopt);
      } else if (options_.fallback == Fallback::kBest) {
        choice.decision =
            best_of(offered, of_prompt.empty() ? std::span<const ExpectedAccuracy>(options_.accuracy) : of_prompt);
      } else {
        choice.decision =
            offered[static_cast<std::size_t>(next_uniform(random_state_) * static_cast<double>(offered.size()))];
      }
    }
    choice.predicted = predict(request, choice.decision);
    return choice;
  });
}

Decision Scheduler::best_of(const std::vector<Decision>& feasible, std::span<const ExpectedAccuracy> accuracy) {
  const auto expected = [&](Decision decision) {
    const auto found = std::find_if(accuracy.begin(), accuracy.end(), [&](const ExpectedAccuracy& e) {
      return e.decision.model_level == decision.model_level && e.decision.prompt_level == decision.prompt_level;
    });
    return found == accuracy.end() ? -std::numeric_limits<double>::infinity() : found->accuracy;
  };
  const auto rank = [&](Decision d) { return std::tuple(expected(d), d.prompt_level, d.model_level); };
  return *std::max_element(feasible.begin(), feasible.end(), [&](Decision a, Decision b) { return rank(a) < rank(b); });
}

// The decision that fits the context and uses least of the objective on the side where it uses most; of equals the
// shortest TTFT, then TPOT, then the larger decision, which costs nothing more.
Decision Scheduler::fastest(const Request& request, std::span<const Decision> pairs,
                            std::optional<std::uint32_t> kept) const {
  const Latency most = limits(request);
  std::vector<Decision> all;
  for (const Decision pair : pairs) {
    for (const std::uint32_t level : decode_levels(request, pair.model_level))
      all.emplace_back(pair.model_level, pair.prompt_level, level);
  }
  const auto rank = [&](Decision d) {
    const Latency latency = predict(request, d, kept ? *kept : nominal_tokens(request, d));
    return std::tuple(!fits(request, d), use_of(request, latency, most), latency.ttft_ms, latency.tpot_ms,
                      -static_cast<double>(d.prompt_level), -static_cast<double>(d.model_level),
                      -static_cast<double>(d.decode_level));
  };
  return *std::min_element(all.begin(), all.end(), [&](Decision a, Decision b) { return rank(a) < rank(b); });
}

bool slo_met(const Latency& limits, const Latency& measured, std::size_t generated_tokens) {
  return measured.ttft_ms <= limits.ttft_ms && (generated_tokens < 2 || measured.tpot_ms <= limits.tpot_ms);
}

}  // namespace elrt
