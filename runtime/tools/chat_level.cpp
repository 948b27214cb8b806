#include "chat_level.hpp"

#include <algorithm>
#include <cstdlib>

#include "common/number.hpp"

namespace elastic_run {
namespace {

elrt::Scheduler scheduler_of(const elrt::Artifact& artifact, const elrt::Session& session, const std::string& table) {
  const auto path = table.empty() ? elrt::LatencyTable::default_path(artifact.path()) : std::filesystem::path(table);
  elrt::LatencyTable read = take(elrt::LatencyTable::read(path));
  take(read.check(artifact, session.threads(), session.kv_type()));
  return take(elrt::Scheduler::create(std::move(read)));
}

// A number, perhaps with "ms" after it.
double parse_part(std::string text, bool& milliseconds) {
  milliseconds = text.ends_with("ms");
  if (milliseconds) text.resize(text.size() - 2);
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value > 0) || (!milliseconds && value > 1)) {
    common::fail(common::ErrorCode::kUsage,
                 "an objective is two shares of the full model's times, such as 0.4 0.7, or two times, such as 80ms "
                 "12ms; found \"{}\"",
                 text);
  }
  return value;
}

}  // namespace

elrt::Slo parse_slo(const std::string& text) {
  const std::size_t space = text.find_first_of(" ,"), rest = text.find_first_not_of(" ,", space);
  const std::string first = text.substr(0, space), second = rest == std::string::npos ? "" : text.substr(rest);
  bool first_ms = false, second_ms = false;
  elrt::Slo slo;
  slo.ttft = parse_part(first, first_ms);
  slo.tpot = parse_part(second, second_ms);
  if (first_ms != second_ms)
    common::fail(common::ErrorCode::kUsage, "an objective is two shares or two times in ms; found \"{}\"", text);
  slo.unit = first_ms ? elrt::Slo::Unit::kMilliseconds : elrt::Slo::Unit::kRatio;
  return slo;
}

std::string describe(const elrt::Slo& slo) {
  char text[120];
  const bool ms = slo.unit == elrt::Slo::Unit::kMilliseconds;
  std::snprintf(text, sizeof(text),
                ms ? "%.4gms to the first token, then %.4gms each"
                   : "%.4g of the full model's time to the first token, then %.4g of its time for each",
                slo.ttft, slo.tpot);
  return text;
}

ChatLevels::ChatLevels(const elrt::Artifact& artifact, const elrt::Session& session, const std::string& table)
    : scheduler_(scheduler_of(artifact, session, table)) {
  for (const elrt::LevelInfo& level : artifact.levels()) levels_.insert(levels_.begin(), level.level);
}

ChatLevels::Choice ChatLevels::choose(const elrt::Slo& slo, const elrt::Session& session,
                                      elrt::Conversation::Pending pending, std::uint32_t max_tokens) const {
  const std::uint32_t context = session.context_tokens();
  const elrt::Request whole = {pending.tokens, std::min(max_tokens, context - std::min(context, pending.tokens) + 1),
                               slo, context};
  const elrt::Latency limits = scheduler_.limits(whole);
  Choice best;
  double least = 0;
  for (const std::uint32_t level : levels_) {
    const elrt::Decision decision{level, 100};
    elrt::Request read = whole;
    if (level == session.level()) read.prompt_tokens = std::max(pending.unread, 1u);
    const elrt::Latency predicted{scheduler_.predict(read, decision).ttft_ms,
                                  scheduler_.predict(whole, decision).tpot_ms};
    const double excess = std::max(predicted.ttft_ms / limits.ttft_ms, predicted.tpot_ms / limits.tpot_ms);
    if (best.predicted.ttft_ms != 0 && excess >= least) continue;
    best = {level, predicted, limits, excess <= 1};
    least = excess;
    if (best.feasible) break;
  }
  return best;
}

}  // namespace elastic_run
