#include "run_slo.hpp"

namespace elastic_run {

std::optional<elrt::Slo> SloOptions::slo() const {
  if (ratio->count() > 0) return elrt::Slo{elrt::Slo::Unit::kRatio, ttft, tpot};
  if (milliseconds->count() > 0) return elrt::Slo{elrt::Slo::Unit::kMilliseconds, ttft_ms, tpot_ms};
  for (const CLI::Option* detail : details) {
    if (detail->count() > 0) {
      throw CommandError(elrt::invalid_argument(detail->get_name() + " belongs to an objective; give --ttft and --tpot, or --ttft-ms and --tpot-ms"));
    }
  }
  return std::nullopt;
}

void add_slo_options(CLI::App& command, SloOptions& options, CLI::Option* level) {
  options.ratio = command.add_option("--ttft", options.ttft, "objective: time to the first token, as a share of the full model's");
  auto* tpot = command.add_option("--tpot", options.tpot, "objective: time per further token, as a share of the full model's");
  options.milliseconds = command.add_option("--ttft-ms", options.ttft_ms, "the same in milliseconds");
  auto* tpot_ms = command.add_option("--tpot-ms", options.tpot_ms, "the same in milliseconds");
  options.ratio->needs(tpot)->excludes(options.milliseconds)->excludes(tpot_ms)->excludes(level);
  tpot->needs(options.ratio)->excludes(options.milliseconds)->excludes(tpot_ms)->excludes(level);
  options.milliseconds->needs(tpot_ms)->excludes(level);
  tpot_ms->needs(options.milliseconds)->excludes(level);
  options.details = {
      command.add_option("--latency", options.table, "the table of elastic-run calibrate; default: FILE.latency.json"),
      command.add_option("--fallback", options.fallback, "which feasible decision: best (the largest) or random (by --seed)")
          ->check(CLI::IsMember({"best", "random"}))
          ->capture_default_str(),
      command.add_option("--margin", options.margin, "predictions grow by this share before they are held against the objective, 0 to 1")
          ->capture_default_str()};
}

elrt::Scheduler open_scheduler(const SloOptions& options, const elrt::Artifact& artifact, const elrt::Session& session, std::uint64_t seed) {
  const auto path = options.table.empty() ? elrt::LatencyTable::default_path(artifact.path()) : std::filesystem::path(options.table);
  auto table = take(elrt::LatencyTable::read(path));
  take(table.check(artifact, session.threads()));
  elrt::SchedulerOptions chosen;
  chosen.fallback = options.fallback == "random" ? elrt::Fallback::kRandom : elrt::Fallback::kBest;
  chosen.seed = seed;
  chosen.margin = options.margin;
  return take(elrt::Scheduler::create(std::move(table), std::move(chosen)));
}

void report_slo(nlohmann::json& result, const SloOptions& options, const elrt::Slo& slo, const elrt::Choice& choice,
                const elrt::Latency& measured, std::size_t generated_tokens) {
  result["slo"] = {{"unit", slo.unit == elrt::Slo::Unit::kRatio ? "ratio" : "ms"},
                   {"ttft", slo.ttft},
                   {"tpot", slo.tpot},
                   {"ttft_ms", choice.limits.ttft_ms},
                   {"tpot_ms", choice.limits.tpot_ms}};
  result["prompt_level"] = choice.decision.prompt_level;
  result["predicted_ttft_ms"] = choice.predicted.ttft_ms;
  result["predicted_tpot_ms"] = choice.predicted.tpot_ms;
  result["feasible"] = choice.feasible();
  result["fallback"] = options.fallback;  // no decision-head has proposed anything
  result["slo_met"] = elrt::slo_met(choice.limits, measured, generated_tokens);
}

std::size_t count_words(std::string_view text) {
  std::size_t words = 0;
  bool inside = false;
  for (const char c : text) {
    const bool space = c == ' ' || (c >= '\t' && c <= '\r');
    words += !space && !inside ? 1 : 0;
    inside = !space;
  }
  return words;
}

}  // namespace elastic_run
