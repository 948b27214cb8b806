// From a latency objective to a decision: how much of the model and how much of the prompt a request uses, and how much
// of the model writes the answer.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "elrt/export.h"
#include "elrt/latency_table.hpp"
#include "elrt/result.hpp"
#include "elrt/slo.hpp"

namespace elrt {

// Shares of prompt words that a compressor can keep, percent. Decisions range over levels x prompt levels x the levels
// that decode.
inline constexpr std::uint32_t kPromptLevels[] = {10, 20, 30, 40, 50, 60, 70, 80, 90, 100};

struct Request {
  std::uint32_t prompt_tokens = 0;  // of the whole prompt, at least 1
  std::uint32_t output_tokens = 0;  // at most so many will be generated; of 1, no TPOT is held against the objective
  Slo slo;
  std::uint32_t context_tokens = 0;  // what a prompt may hold once it is shortened; 0: any number
};

// A share of answers expected to be right. Decisions that are not listed count as worse than those that are.
struct ExpectedAccuracy {
  Decision decision;  // its pair alone counts, model level and prompt level
  double accuracy = 0;
};

enum class Fallback {
  kBest,  // the feasible decision with the highest expected accuracy, of this prompt where the decision-head was asked;
          // of equals, and where nothing is known: the largest prompt level, then the largest model level (without a
          // compressor: the largest feasible level)
  kRandom,  // any feasible decision, each as likely
};

struct SchedulerOptions {
  // What decisions may do to the prompt: {100} without a compressor, kPromptLevels with one. Ascending, the last is
  // 100.
  std::vector<std::uint32_t> prompt_levels{100};
  bool decision_head = false;  // a TLM proposes decisions: its time is part of every TTFT
  bool phases = true;          // false: the level that reads the prompt decodes too
  Fallback fallback = Fallback::kBest;
  std::uint64_t seed = 0;  // of kRandom
  double margin = 0;       // predictions grow by this share before they are held against the objective; 0..1
  std::vector<ExpectedAccuracy> accuracy;
};

struct Choice {
  enum class Source {
    kProposed,  // the proposed pair, which is feasible
    kFallback,  // another feasible pair, by SchedulerOptions::fallback
    kFastest,   // nothing is feasible: the decision that misses the objective least
    kFull,      // the full model reads the whole prompt, feasible where no TLM is asked
  };
  Decision decision;
  Source source = Source::kFallback;
  Latency predicted;
  Latency limits;  // the objective in milliseconds

  bool feasible() const { return source != Source::kFastest; }
};

// Chooses decisions by a device's latency table. Copyable; one thread at a time.
//
// A decision (m, p, d) for a prompt of n tokens keeps k = ceil(n p / 100) of them and is predicted to take
//   TTFT = table.ttft(m, k) + decision_ms(n) if there is a decision-head or p < 100 + score_ms(n) if p < 100
//   TPOT = table.tpot(d, k + output/2): the mean over a text that grows from k to k + output.
// (Words are scored on the layers that both heads share, the larger part of decision_ms: it is counted whole.)
// both multiplied by the pace (1 unless it is set). It is feasible if neither, grown by the margin, exceeds the
// objective, which is always the table's, and if k tokens fit the context.
//
// What is proposed, expected and chosen is a pair (m, p). It is completed with the largest d <= m that keeps the TPOT,
// and is feasible if there is one and the TTFT keeps. Where the output is one token, or phases are off, d is m.
class ELRT_API Scheduler {
 public:
  // kInvalidArgument for options out of range.
  static Result<Scheduler> create(LatencyTable table, SchedulerOptions options = {});

  // `proposed`, by the decision-head, is a pair: completed, it is taken if it is feasible. kInvalidArgument for an
  // empty prompt and for an objective that is not finite and above zero, or a ratio above 1. `of_prompt`, if any, takes
  // the place of SchedulerOptions::accuracy for this request: what the decision-head expects of it, on any scale.
  Result<Choice> decide(const Request& request, std::optional<Decision> proposed = std::nullopt,
                        std::span<const ExpectedAccuracy> of_prompt = {});

  // The full pair, completed, where it is feasible without a TLM: to be asked for before the TLM, whose time would be
  // added.
  // Failures as decide()'s.
  Result<std::optional<Choice>> full_decision(const Request& request) const;

  // `choice` once the prompt is compressed and turns out to hold `kept_tokens`: completed and predicted again, and
  // where it then misses the objective (what must stay may be more than the prompt level says) with the largest smaller
  // model level that keeps it.
  Choice settle(const Request& request, Choice choice, std::uint32_t kept_tokens) const;

  // By what the table's times are multiplied from now on: how much slower (above 1) or faster the device is at present.
  void set_pace(Latency factors) { pace_ = factors; }

  // What the full decision takes without a TLM, by the table alone.
  Latency full_latency(const Request& request) const;

  // The request's objective in milliseconds. Ratios are of full_latency().
  Latency limits(const Request& request) const;
  // Of the decision as it is given. Infinite for a level that the table lacks.
  Latency predict(const Request& request, Decision decision) const;
  // The same once the prompt is compressed and its tokens are counted: `kept_tokens` in place of ceil(n p / 100).
  Latency predict(const Request& request, Decision decision, std::uint32_t kept_tokens) const;
  // Of the decision as it is given, which must be one that completed() might give.
  bool feasible(const Request& request, Decision decision) const;
  // A pair of decisions() with its decode level, nothing where the pair is not feasible.
  std::optional<Decision> completed(const Request& request, Decision pair) const;
  // Whether any decision keeps the objective by the table alone: at a pace of 1, without a margin.
  bool possible(const Request& request) const;

  // Every pair there is (its decode level the model level), by model level, then prompt level, ascending.
  const std::vector<Decision>& decisions() const { return decisions_; }
  const LatencyTable& table() const { return table_; }

 private:
  Scheduler(LatencyTable table, SchedulerOptions options);
  static Decision best_of(const std::vector<Decision>& feasible, std::span<const ExpectedAccuracy> accuracy);
  Decision fastest(const Request& request, std::span<const Decision> pairs,
                   std::optional<std::uint32_t> kept_tokens) const;
  // May decode what `model_level` has read: the largest first.
  std::vector<std::uint32_t> decode_levels(const Request& request, std::uint32_t model_level) const;
  std::optional<Decision> completed(const Request& request, Decision pair, std::uint32_t kept_tokens) const;
  bool keeps(const Request& request, Latency latency) const;
  bool fits(const Request& request, Decision decision) const;
  Latency tlm_latency(const Request& request, Decision decision) const;
  // Without the pace: what the model itself takes for a prompt of so many tokens, and predict().
  Latency of_model(const Request& request, Decision decision, std::uint32_t kept_tokens) const;
  Latency by_table(const Request& request, Decision decision, std::uint32_t kept_tokens) const;
  Latency paced(Latency latency) const { return {latency.ttft_ms * pace_.ttft_ms, latency.tpot_ms * pace_.tpot_ms}; }

  LatencyTable table_;
  SchedulerOptions options_;
  std::vector<Decision> decisions_;
  std::uint64_t random_state_;
  Latency pace_{1, 1};
};

// Whether measured times keep to the limits; `tpot_ms` counts only where more than one token was generated.
ELRT_API bool slo_met(const Latency& limits, const Latency& measured, std::size_t generated_tokens);

}  // namespace elrt
