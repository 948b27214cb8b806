#include "run_slo.hpp"

#include <cstdio>

namespace elastic_run {

std::optional<elrt::Slo> SloOptions::slo() const {
  if (ratio->count() > 0) return elrt::Slo{elrt::Slo::Unit::kRatio, ttft, tpot};
  if (milliseconds->count() > 0) return elrt::Slo{elrt::Slo::Unit::kMilliseconds, ttft_ms, tpot_ms};
  for (const CLI::Option* detail : details) {
    if (detail->count() > 0) {
      throw CommandError(elrt::invalid_argument(
          detail->get_name() + " belongs to an objective; give --ttft and --tpot, or --ttft-ms and --tpot-ms"));
    }
  }
  return std::nullopt;
}

void add_slo_options(CLI::App& command, SloOptions& options, CLI::Option* level) {
  options.ratio =
      command.add_option("--ttft", options.ttft, "objective: time to the first token, as a share of the full model's");
  auto* tpot =
      command.add_option("--tpot", options.tpot, "objective: time per further token, as a share of the full model's");
  options.milliseconds = command.add_option("--ttft-ms", options.ttft_ms, "the same in milliseconds");
  auto* tpot_ms = command.add_option("--tpot-ms", options.tpot_ms, "the same in milliseconds");
  options.ratio->needs(tpot)->excludes(options.milliseconds)->excludes(tpot_ms)->excludes(level);
  tpot->needs(options.ratio)->excludes(options.milliseconds)->excludes(tpot_ms)->excludes(level);
  options.milliseconds->needs(tpot_ms)->excludes(level);
  tpot_ms->needs(options.milliseconds)->excludes(level);
  add_service_options(command, options);
  options.details.push_back(
      command.add_option("--question", options.question,
                         "stands after the prompt, on a line of its own, and is never shortened; without it the\n"
                         "prompt's last line is the question"));
  options.details.push_back(
      command.add_flag("--keep-numbers", options.keep_numbers, "words with digits stay where the prompt is shortened"));
}

void add_service_options(CLI::App& command, SloOptions& options) {
  options.details = {
      command.add_option("--latency", options.table, "the table of elastic-run calibrate; default: FILE.latency.json"),
      command
          .add_option("--fallback", options.fallback,
                      "which feasible decision: best (by the accuracy the artifact expects, or the largest) or random "
                      "(by --seed)")
          ->check(common::one_of({"best", "random"}))
          ->capture_default_str(),
      command
          .add_option("--margin", options.margin,
                      "predictions grow by this share before they are held against the objective, 0 to 1")
          ->capture_default_str(),
      command.add_flag("--no-tlm", options.no_tlm, "do not ask the tiny language model: only levels are chosen"),
      command.add_flag("--one-level", options.one_level,
                       "the level that reads the prompt writes the answer too; without it that may be a smaller one")};
}

elrt::ServiceOptions service_options(const SloOptions& options, const elrt::SessionOptions& session,
                                     std::uint64_t seed) {
  elrt::ServiceOptions chosen;
  chosen.session = session;
  chosen.fallback = options.fallback == "random" ? elrt::Fallback::kRandom : elrt::Fallback::kBest;
  chosen.seed = seed;
  chosen.margin = options.margin;
  chosen.follow_pace = !options.fixed_pace;
  chosen.use_tlm = !options.no_tlm;
  chosen.phases = !options.one_level;
  return chosen;
}

elrt::Service open_service(const SloOptions& options, const elrt::Artifact& artifact,
                           const elrt::SessionOptions& session, std::uint64_t seed) {
  const auto path =
      options.table.empty() ? elrt::LatencyTable::default_path(artifact.path()) : std::filesystem::path(options.table);
  elrt::ServiceOptions chosen = service_options(options, session, seed);
  chosen.warm_up = true;
  auto service = take(elrt::Service::create(artifact, take(elrt::LatencyTable::read(path)), chosen));
  if (!service.has_tlm() && !options.no_tlm) {
    std::fprintf(stderr,
                 "elastic-run: the artifact has no tiny language model; levels are chosen without reading the prompt, "
                 "which is used whole\n");
  }
  return service;
}

const char* source_name(elrt::Choice::Source source) {
  switch (source) {
    case elrt::Choice::Source::kProposed:
      return "proposed";
    case elrt::Choice::Source::kFallback:
      return "fallback";
    case elrt::Choice::Source::kFastest:
      return "fastest";
    case elrt::Choice::Source::kFull:
      return "full";
  }
  return "unknown";
}

void report_slo(nlohmann::json& result, const SloOptions& options, const elrt::Slo& slo, const elrt::Answer& answer) {
  const elrt::Choice& choice = answer.choice;
  result["slo"] = {{"unit", slo.unit == elrt::Slo::Unit::kRatio ? "ratio" : "ms"},
                   {"ttft", slo.ttft},
                   {"tpot", slo.tpot},
                   {"ttft_ms", choice.limits.ttft_ms},
                   {"tpot_ms", choice.limits.tpot_ms}};
  result["prompt_level"] = choice.decision.prompt_level;
  result["decode_level"] = choice.decision.decode_level;
  result["prompt_words"] = answer.prompt_words;
  result["prompt_words_kept"] = answer.prompt_words_kept;
  result["prompt"] = answer.prompt;
  result["decision_source"] = source_name(choice.source);
  result["tlm_asked"] = answer.tlm_asked;
  result["tlm_ms"] = answer.tlm_ms;
  result["predicted_ttft_ms"] = choice.predicted.ttft_ms;
  result["predicted_tpot_ms"] = choice.predicted.tpot_ms;
  result["feasible"] = choice.feasible();
  result["fallback"] = options.fallback;
  result["slo_met"] = answer.slo_met;
}

void print_slo(const elrt::Answer& answer) {
  const elrt::Choice& choice = answer.choice;
  std::fprintf(stderr,
               "decision: level %u, decode level %u, prompt level %u (%s), %zu of %zu prompt words kept, %.4g ms spent "
               "on the tiny language model\n",
               choice.decision.model_level, choice.decision.decode_level, choice.decision.prompt_level,
               source_name(choice.source), answer.prompt_words_kept, answer.prompt_words, answer.tlm_ms);
  std::fprintf(stderr, "objective %.4g ms, then %.4g ms each: %s; predicted %.4g ms, then %.4g ms each%s\n",
               choice.limits.ttft_ms, choice.limits.tpot_ms, answer.slo_met ? "met" : "missed",
               choice.predicted.ttft_ms, choice.predicted.tpot_ms,
               choice.feasible() ? "" : "; no decision can meet it, this is the fastest");
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
