#include "elrt/scheduler.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <tuple>

#include "elrt/elrt.h"
#include "elrt/elrt.hpp"
#include "unit/runtime/latency_tables.h"
#include "unit/runtime/tiny_tokenizer.h"

using elastify_test::random_table;
using elastify_test::small_table;
using elastify_test::TemporaryFile;
using elrt::Choice;
using elrt::Decision;
using elrt::Fallback;
using elrt::LatencyData;
using elrt::LatencyTable;
using elrt::Request;
using elrt::Scheduler;
using elrt::SchedulerOptions;
using elrt::Slo;

namespace {

const std::vector<std::uint32_t> kAllPromptLevels(std::begin(elrt::kPromptLevels), std::end(elrt::kPromptLevels));

Scheduler scheduler(LatencyData data, SchedulerOptions options = {}) {
  auto made = Scheduler::create(LatencyTable::create(std::move(data)).value(), std::move(options));
  if (!made) FAIL(made.failure().message);
  return std::move(made).value();
}

Slo ratio(double ttft, double tpot) { return {Slo::Unit::kRatio, ttft, tpot}; }
Slo ms(double ttft, double tpot) { return {Slo::Unit::kMilliseconds, ttft, tpot}; }

// The same arithmetic, written again: a curve's value by walking its pieces.
double walk(const LatencyData& data, const std::vector<double>& curve, double n, int growth) {
  if (n <= data.tokens[0]) return curve[0];
  for (std::size_t i = 1; i < curve.size(); ++i) {
    const double left = data.tokens[i - 1], right = data.tokens[i];
    if (n <= right) return (curve[i - 1] * (right - n) + curve[i] * (n - left)) / (right - left);
  }
  return curve.back() * std::pow(n / data.tokens.back(), growth);
}

struct Expected {
  Decision decision;
  double ttft = 0, tpot = 0, use = 0;
};

// Every (model, prompt, decode) with its latency and its share of the objective, in milliseconds, by brute force.
std::vector<Expected> brute_force(const LatencyData& data, const SchedulerOptions& options, const Request& request,
                                  double* ttft_limit, double* tpot_limit) {
  const double n = request.prompt_tokens, half = request.output_tokens / 2;
  const auto& full = data.levels.back();
  const bool relative = request.slo.unit == Slo::Unit::kRatio;
  *ttft_limit = request.slo.ttft * (relative ? walk(data, full.ttft_ms, n, 2) : 1);
  *tpot_limit = request.slo.tpot * (relative ? walk(data, full.tpot_ms, n + half, 1) : 1);
  std::vector<Expected> all;
  const bool one_token = request.output_tokens == 1;
  for (const auto& level : data.levels) {
    for (const std::uint32_t p : options.prompt_levels) {
      for (const auto& decode : data.levels) {
        const bool phases = options.phases && !one_token;
        if (phases ? decode.level > level.level : decode.level != level.level) continue;
        const double kept = std::ceil(n * p / 100 - 1e-9);
        Expected e{{level.level, p, decode.level},
                   walk(data, level.ttft_ms, kept, 2),
                   walk(data, decode.tpot_ms, kept + half, 1)};
        if (options.decision_head || p < 100) e.ttft += walk(data, data.tlm.decision_ms, n, 2);
        if (p < 100) e.ttft += walk(data, data.tlm.score_ms, n, 2);
        e.use = one_token ? e.ttft / *ttft_limit : std::max(e.ttft / *ttft_limit, e.tpot / *tpot_limit);
        all.push_back(e);
      }
    }
  }
  return all;
}

}  // namespace

TEST_CASE("decisions on a hand-worked table", "[runtime][unit]") {
  Scheduler chooser = scheduler(small_table());
  // 20 prompt tokens, 20 output tokens: TTFT 10 or 20, TPOT at 30 tokens 1.75 or 3.5.
  const auto half = chooser.decide({20, 20, ratio(0.5, 0.5)}).value();
  CHECK(half.decision == Decision{50, 100});
  CHECK(half.source == Choice::Source::kFallback);
  CHECK(half.predicted.ttft_ms == 10);
  CHECK(half.predicted.tpot_ms == 1.75);
  CHECK(half.limits.ttft_ms == 10);
  CHECK(half.limits.tpot_ms == 1.75);
  CHECK(chooser.decide({20, 20, ratio(1, 1)})->decision == Decision{100, 100});
  CHECK(chooser.decide({20, 20, ratio(0.99, 1)})->decision == Decision{50, 100});
  // The prompt is read by the full model, the answer is written by half of it.
  const auto phases = chooser.decide({20, 20, ratio(1, 0.99)}).value();
  CHECK(phases.decision == Decision{100, 100, 50});
  CHECK(phases.predicted.ttft_ms == 20);
  CHECK(phases.predicted.tpot_ms == 1.75);
  CHECK(chooser.decide({20, 1, ratio(1, 0.1)})->decision == Decision{100, 100});  // one token: no TPOT
  SchedulerOptions one_level;
  one_level.phases = false;
  Scheduler plain = scheduler(small_table(), one_level);
  CHECK(plain.decide({20, 20, ratio(1, 0.99)})->decision == Decision{50, 100});
  CHECK_FALSE(plain.full_decision({20, 20, ratio(1, 0.99)})->has_value());
  const auto none = chooser.decide({20, 20, ratio(0.49, 1)}).value();
  CHECK(none.decision == Decision{50, 100});
  CHECK(none.source == Choice::Source::kFastest);
  CHECK_FALSE(none.feasible());
  CHECK(chooser.decide({20, 20, ms(20, 3.5)})->decision == Decision{100, 100});
  CHECK(chooser.decide({20, 20, ms(19.9, 3.5)})->decision == Decision{50, 100});
}

TEST_CASE("without a compressor prompts stay whole; with one, TLM time counts", "[runtime][unit]") {
  LatencyData data = small_table();
  data.tlm = {{1, 1, 1}, {2, 2, 2}};
  SchedulerOptions options;
  CHECK(scheduler(data).decisions() == std::vector<Decision>{{50, 100}, {100, 100}});
  options.prompt_levels = {50, 100};
  options.decision_head = true;
  Scheduler chooser = scheduler(data, options);
  const Request request{20, 0, ms(14, 10)};
  CHECK(chooser.predict(request, {100, 100}).ttft_ms == 20 + 1);
  CHECK(chooser.predict(request, {100, 50}).ttft_ms == 10 + 1 + 2);
  CHECK(chooser.predict(request, {100, 50}).tpot_ms == 2);
  CHECK(chooser.decide(request)->decision == Decision{50, 100});  // whole prompts first
  CHECK(chooser.decide({20, 0, ms(13, 10)})->decision == Decision{50, 100});
  options.accuracy = {{{50, 100}, 0.5}, {{100, 50}, 0.6}};
  Scheduler informed = scheduler(data, options);
  CHECK(informed.decide(request)->decision == Decision{100, 50});
  CHECK(informed.decide({20, 0, ms(12.9, 10)})->decision == Decision{50, 100});
}

TEST_CASE("the full decision is tested without a TLM", "[runtime][unit]") {
  LatencyData data = small_table();
  data.tlm = {{1, 1, 1}, {2, 2, 2}};
  SchedulerOptions options;
  options.prompt_levels = {50, 100};
  options.decision_head = true;
  Scheduler chooser = scheduler(data, options);
  const auto full = chooser.full_decision({20, 0, ratio(1, 1)}).value();
  REQUIRE(full.has_value());
  CHECK(full->decision == Decision{100, 100});
  CHECK(full->source == Choice::Source::kFull);
  CHECK(full->feasible());
  CHECK(full->predicted.ttft_ms == 20);
  CHECK_FALSE(chooser.feasible({20, 0, ratio(1, 1)}, {100, 100}));  // once the TLM was asked
  CHECK_FALSE(chooser.full_decision({20, 0, ratio(0.99, 1)})->has_value());
  CHECK(chooser.full_decision({20, 0, ratio(1, 0.99)}).value()->decision == Decision{100, 100, 50});
  CHECK_FALSE(chooser.full_decision({20, 0, ratio(1, 0.49)})->has_value());
  CHECK(chooser.full_decision({20, 0, ms(20, 3)})->has_value());
  options.margin = 0.1;
  CHECK_FALSE(scheduler(data, options).full_decision({20, 0, ratio(1, 1)})->has_value());
  CHECK_FALSE(chooser.full_decision({0, 0, ratio(1, 1)}).ok());
}

TEST_CASE("a choice settles on what the compressed prompt holds", "[runtime][unit]") {
  LatencyData data = small_table();
  data.tlm = {{1, 1, 1}, {2, 2, 2}};
  SchedulerOptions options;
  options.prompt_levels = {50, 100};
  options.decision_head = true;
  Scheduler chooser = scheduler(data, options);
  const Request request{20, 0, ms(14, 10)};
  const Choice choice = chooser.decide(request, Decision{100, 50}).value();
  CHECK(choice.predicted.ttft_ms == 10 + 3);
  CHECK(chooser.settle(request, choice, 10).predicted.ttft_ms == 13);
  CHECK(chooser.settle(request, choice, 10).source == Choice::Source::kProposed);
  const Choice smaller = chooser.settle(request, choice, 20);  // level 100 would take 20 + 3
  CHECK(smaller.decision == Decision{50, 50});
  CHECK(smaller.predicted.ttft_ms == 10 + 3);
  CHECK(smaller.feasible());
  const Choice missed = chooser.settle(request, choice, 40);
  CHECK(missed.decision == Decision{50, 50});
  CHECK_FALSE(missed.feasible());
  // TPOT of level 100: 2 ms at 10 tokens, 3 at 20. A longer prompt than was said is written after at a smaller level.
  const Request tight{20, 0, ms(100, 2.5)};
  const Choice whole = chooser.decide(tight, Decision{100, 50}).value();
  CHECK(whole.decision == Decision{100, 50});
  const Choice longer = chooser.settle(tight, whole, 20);
  CHECK(longer.decision == Decision{100, 50, 50});
  CHECK(longer.source == Choice::Source::kProposed);
  CHECK(chooser.settle(tight, longer, 10).decision == Decision{100, 50, 100});  // and a shorter one at a larger
}

TEST_CASE("a proposed decision is taken if it is feasible and replaced if not", "[runtime][unit]") {
  Scheduler chooser = scheduler(small_table());
  const Request request{20, 0, ratio(0.6, 0.6)};
  CHECK(chooser.decide({20, 0, ratio(1, 1)}, Decision{50, 100})->decision == Decision{50, 100});
  CHECK(chooser.decide({20, 0, ratio(1, 1)}, Decision{50, 100})->source == Choice::Source::kProposed);
  const auto replaced = chooser.decide(request, Decision{100, 100}).value();
  CHECK(replaced.decision == Decision{50, 100});
  CHECK(replaced.source == Choice::Source::kFallback);
  CHECK(chooser.decide(request, Decision{50, 50})->source == Choice::Source::kFallback);   // not offered
  CHECK(chooser.decide(request, Decision{70, 100})->source == Choice::Source::kFallback);  // no such level
}

TEST_CASE("what is chosen meets the objective wherever anything does, over the whole lattice", "[runtime][unit]") {
  std::mt19937 random(5);
  int met = 0, missed = 0, completed = 0, lower = 0;
  for (int trial = 0; trial < 300; ++trial) {
    const LatencyData data = random_table(random);
    SchedulerOptions options;
    if (trial % 3 != 0) options.prompt_levels = kAllPromptLevels;
    options.decision_head = trial % 2 == 0;
    options.phases = trial % 4 < 3;
    options.fallback = trial % 5 == 0 ? Fallback::kRandom : Fallback::kBest;
    options.seed = random();
    Scheduler chooser = scheduler(data, options);
    for (int ttft = 2; ttft <= 10; ++ttft) {
      for (int tpot = 5; tpot <= 10; ++tpot) {
        const auto outputs = static_cast<std::uint32_t>(random() % 8 == 0 ? 1 : random() % 200);
        const Request request{1 + static_cast<std::uint32_t>(random() % 400), outputs, ratio(ttft / 10.0, tpot / 10.0)};
        double ttft_limit = 0, tpot_limit = 0;
        const auto all = brute_force(data, options, request, &ttft_limit, &tpot_limit);
        const Choice choice = chooser.decide(request).value();
        const Expected* chosen = nullptr;
        double least = std::numeric_limits<double>::infinity();
        std::vector<Decision> feasible;
        for (const Expected& e : all) {
          if (e.decision == choice.decision) chosen = &e;
          least = std::min(least, e.use);
          if (e.use <= 1 + 1e-12) feasible.push_back(e.decision);
        }
        REQUIRE(chosen != nullptr);
        const bool on_edge = std::any_of(all.begin(), all.end(), [](const Expected& e) {
          return std::abs(e.use - 1) < 1e-9;  // the two sums may round apart
        });
        if (std::abs(least - 1) < 1e-9) continue;
        if (!on_edge && (ttft + tpot) % 3 == 0) {
          // Every pair is completed with its largest feasible decode level, and with no other.
          for (const Decision pair : chooser.decisions()) {
            std::optional<Decision> largest;
            for (const Decision d : feasible) {
              const bool same = d.model_level == pair.model_level && d.prompt_level == pair.prompt_level;
              if (same && (!largest || d.decode_level > largest->decode_level)) largest = d;
            }
            CHECK(chooser.completed(request, pair) == largest);
            if (largest) CHECK(chooser.decide(request, pair)->decision == *largest);
            completed += largest ? 1 : 0, lower += largest && largest->decode_level < pair.model_level ? 1 : 0;
          }
          CHECK(std::all_of(all.begin(), all.end(),
                            [&](const Expected& e) { return chooser.feasible(request, e.decision) == (e.use <= 1); }));
        }
        CHECK(choice.predicted.ttft_ms == Approx(chosen->ttft));
        CHECK(choice.predicted.tpot_ms == Approx(chosen->tpot));
        CHECK(choice.limits.ttft_ms == Approx(ttft_limit));
        CHECK(choice.limits.tpot_ms == Approx(tpot_limit));
        REQUIRE(choice.feasible() == !feasible.empty());
        (choice.feasible() ? met : missed) += 1;
        if (!choice.feasible()) {
          CHECK(chosen->use == Approx(least));  // nothing feasible: the one that misses least
          continue;
        }
        CHECK(choice.predicted.ttft_ms <= choice.limits.ttft_ms);
        CHECK((outputs == 1 || choice.predicted.tpot_ms <= choice.limits.tpot_ms));
        if (options.fallback == Fallback::kRandom) continue;
        for (const Decision other : feasible) {  // the best: the longest prompt, then the largest model, then decode
          if (on_edge) break;
          const auto rank = [](Decision d) { return std::tuple(d.prompt_level, d.model_level, d.decode_level); };
          CHECK(rank(other) <= rank(choice.decision));
        }
      }
    }
  }
  CHECK(met > 1000);
  CHECK(missed > 1000);
  CHECK(completed > 10000);
  CHECK(lower > 1000);
}

TEST_CASE("settling after compression finds the largest levels that keep the objective, or the fastest",
          "[runtime][unit]") {
  std::mt19937 random(8);
  int same = 0, smaller = 0, lower = 0, missed = 0;
  for (int trial = 0; trial < 3000; ++trial) {
    const LatencyData data = random_table(random);
    SchedulerOptions options;
    options.prompt_levels = {50, 100};
    options.decision_head = true;
    options.phases = trial % 4 != 0;
    Scheduler chooser = scheduler(data, options);
    const std::uint32_t n = 2 + random() % 400;
    const Request request{
        n, trial % 9 == 0 ? 1u : static_cast<std::uint32_t>(random() % 200),
        ratio(static_cast<double>(2 + random() % 9) / 10, static_cast<double>(5 + random() % 6) / 10)};
    const Choice before =
        chooser.decide(request, Decision{data.levels[random() % data.levels.size()].level, 50}).value();
    if (!before.feasible() || before.decision.prompt_level != 50) continue;
    const std::uint32_t kept = 1 + random() % n;
    const Choice after = chooser.settle(request, before, kept);
    // The same by trying all: what `kept` tokens take is what a prompt of level 50 takes that has twice as many.
    double ttft_limit = 0, tpot_limit = 0;
    brute_force(data, options, request, &ttft_limit, &tpot_limit);
    const double half = request.output_tokens / 2;
    std::vector<Expected> all;
    bool on_edge = false;
    for (const auto& level : data.levels) {
      for (const auto& decode : data.levels) {
        const bool phases = options.phases && request.output_tokens != 1;
        if (phases ? decode.level > level.level : decode.level != level.level) continue;
        Expected e{{level.level, 50, decode.level}, 0, walk(data, decode.tpot_ms, kept + half, 1)};
        e.ttft = walk(data, level.ttft_ms, kept, 2) + walk(data, data.tlm.decision_ms, n, 2) +
                 walk(data, data.tlm.score_ms, n, 2);
        e.use = request.output_tokens == 1 ? e.ttft / ttft_limit : std::max(e.ttft / ttft_limit, e.tpot / tpot_limit);
        on_edge = on_edge || std::abs(e.use - 1) < 1e-9;
        all.push_back(e);
      }
    }
    if (on_edge) continue;
    std::optional<Decision> best;
    double least = std::numeric_limits<double>::infinity();
    const auto rank = [](Decision d) { return std::tuple(d.model_level, d.decode_level); };
    for (const Expected& e : all) {
      least = std::min(least, e.use);
      const bool offered = e.use <= 1 && e.decision.model_level <= before.decision.model_level;
      if (offered && (!best || rank(e.decision) > rank(*best))) best = e.decision;
    }
    if (!best) {
      CHECK(after.source == Choice::Source::kFastest);
      CHECK(std::any_of(all.begin(), all.end(),
                        [&](const Expected& e) { return e.decision == after.decision && e.use == Approx(least); }));
      ++missed;
      continue;
    }
    CHECK(after.decision == *best);
    const bool kept_pair = best->model_level == before.decision.model_level;
    CHECK(after.source == (kept_pair ? before.source : Choice::Source::kFallback));
    (kept_pair ? same : smaller) += 1, lower += best->decode_level < best->model_level ? 1 : 0;
  }
  CHECK(same > 100);
  CHECK(smaller > 20);
  CHECK(lower > 50);
  CHECK(missed > 20);
}

TEST_CASE("a ratio and the milliseconds it stands for lead to one decision", "[runtime][unit]") {
  std::mt19937 random(6);
  for (int trial = 0; trial < 300; ++trial) {
    SchedulerOptions options;
    options.prompt_levels = kAllPromptLevels;
    Scheduler chooser = scheduler(random_table(random), options);
    Request request{1 + static_cast<std::uint32_t>(random() % 400), static_cast<std::uint32_t>(random() % 200),
                    ratio(static_cast<double>(2 + random() % 9) / 10, static_cast<double>(5 + random() % 6) / 10)};
    const Choice relative = chooser.decide(request).value();
    request.slo = ms(relative.limits.ttft_ms, relative.limits.tpot_ms);
    const Choice absolute = chooser.decide(request).value();
    CHECK(absolute.decision == relative.decision);
    CHECK(absolute.source == relative.source);
    CHECK(absolute.limits.ttft_ms == relative.limits.ttft_ms);
  }
}

TEST_CASE("the random fallback draws every feasible decision and no other, by its seed", "[runtime][unit]") {
  SchedulerOptions options;
  options.prompt_levels = kAllPromptLevels;
  options.fallback = Fallback::kRandom;
  options.seed = 7;
  const Request request{100, 0, ratio(0.4, 1)};
  Scheduler chooser = scheduler(small_table(), options), same = scheduler(small_table(), options);
  std::map<std::pair<std::uint32_t, std::uint32_t>, int> counts;
  for (int i = 0; i < 8000; ++i) {
    const Choice choice = chooser.decide(request).value();
    CHECK(choice.decision == same.decide(request)->decision);
    CHECK(chooser.feasible(request, choice.decision));
    ++counts[{choice.decision.model_level, choice.decision.prompt_level}];
  }
  std::size_t feasible = 0;
  for (const Decision decision : chooser.decisions()) feasible += chooser.feasible(request, decision) ? 1 : 0;
  CHECK(feasible > 5);
  REQUIRE(counts.size() == feasible);
  const double even = 8000.0 / static_cast<double>(feasible);
  for (const auto& [decision, count] : counts) CHECK(count == Approx(even).epsilon(0.2));
}

TEST_CASE("expected accuracy ranks first; what is unknown comes last", "[runtime][unit]") {
  SchedulerOptions options;
  options.prompt_levels = {50, 100};
  options.accuracy = {{{50, 50}, 0.1}};
  CHECK(scheduler(small_table(), options).decide({20, 0, ratio(1, 1)})->decision == Decision{50, 50});
  options.accuracy = {{{50, 50}, 0.7}, {{100, 50}, 0.7}, {{50, 100}, 0.7}};
  CHECK(scheduler(small_table(), options).decide({20, 0, ratio(1, 1)})->decision == Decision{50, 100});
}

TEST_CASE("what is expected of a prompt takes the place of what is expected of all", "[runtime][unit]") {
  SchedulerOptions options;
  options.prompt_levels = {50, 100};
  options.accuracy = {{{50, 50}, 0.9}};
  Scheduler chosen = scheduler(small_table(), options);
  const std::vector<elrt::ExpectedAccuracy> of_prompt{{{50, 50}, -3}, {{50, 100}, -1}};
  CHECK(chosen.decide({20, 0, ratio(1, 1)}, std::nullopt, of_prompt)->decision == Decision{50, 100});
  CHECK(chosen.decide({20, 0, ratio(1, 1)}, Decision{50, 50}, of_prompt)->decision ==
        Decision{50, 50});  // a feasible proposal comes first
  CHECK(chosen.decide({20, 0, ratio(1, 1)})->decision == Decision{50, 50});
}

TEST_CASE("a margin keeps predictions that far away from the objective", "[runtime][unit]") {
  SchedulerOptions options;
  options.margin = 0.1;
  Scheduler careful = scheduler(small_table(), options);
  CHECK(careful.decide({20, 0, ms(22.1, 10)})->decision == Decision{100, 100});
  CHECK(careful.decide({20, 0, ms(21.9, 10)})->decision == Decision{50, 100});
}

TEST_CASE("a pace multiplies predictions and leaves objectives alone", "[runtime][unit]") {
  Scheduler slow = scheduler(small_table());
  const Request request{20, 0, ms(21, 10)};
  const elrt::Latency before = slow.predict(request, {50, 100});
  CHECK(slow.decide(request)->decision == Decision{100, 100});
  slow.set_pace({1.1, 1});
  CHECK(slow.decide(request)->decision == Decision{50, 100});
  CHECK(slow.predict(request, {50, 100}).ttft_ms == Approx(1.1 * before.ttft_ms));
  CHECK_FALSE(slow.full_decision(request).value().has_value());
  const Request share{20, 0, {Slo::Unit::kRatio, 1, 1}};
  CHECK(slow.limits(share).ttft_ms == Approx(slow.full_latency(share).ttft_ms));
  CHECK(slow.decide(share)->decision == Decision{50, 100});
  slow.set_pace({1, 50});
  CHECK_FALSE(slow.decide(request)->feasible());
}

TEST_CASE("what is possible is the table's to say, whatever the pace and the margin", "[runtime][unit]") {
  SchedulerOptions options;
  options.margin = 0.5;
  Scheduler chooser = scheduler(small_table(), options);
  for (const double pace : {0.5, 1.0, 20.0}) {
    chooser.set_pace({pace, pace});
    CHECK(chooser.possible({20, 20, ratio(0.5, 0.5)}));
    CHECK(chooser.possible({20, 20, ms(10, 1.75)}));
    CHECK_FALSE(chooser.possible({20, 20, ratio(0.49, 1)}));
    CHECK_FALSE(chooser.possible({20, 20, ms(10, 1.7)}));
    CHECK(chooser.possible({20, 20, ratio(1, 1)}));  // by the full model, before any TLM is asked
  }
}

TEST_CASE("a decision keeps no more of a prompt than the context holds", "[runtime][unit]") {
  LatencyData data = small_table();
  data.tlm = {{1, 1, 1}, {2, 2, 2}};
  SchedulerOptions options;
  options.prompt_levels = {50, 100};
  options.decision_head = true;
  Scheduler chooser = scheduler(data, options);
  Request request{40, 0, ms(1000, 1000), 39};
  CHECK_FALSE(chooser.full_decision(request)->has_value());
  CHECK(chooser.decide(request, Decision{100, 100})->decision == Decision{100, 50});
  CHECK(chooser.possible(request));
  request.slo = ms(0.001, 0.001);  // the fastest too
  CHECK(chooser.decide(request)->decision == Decision{50, 50});
  request.context_tokens = 19;
  CHECK_FALSE(chooser.possible(request));
  request.context_tokens = 40, request.slo = ms(1000, 1000);
  CHECK(chooser.full_decision(request)->has_value());
}

TEST_CASE("impossible objectives, prompts and options are refused", "[runtime][unit]") {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();
  Scheduler chooser = scheduler(small_table());
  for (const double bad : {0.0, -0.5, kNaN, kInf, 1.01}) {
    CHECK_FALSE(chooser.decide({20, 0, ratio(bad, 1)}));
    CHECK_FALSE(chooser.decide({20, 0, ratio(1, bad)}));
  }
  for (const double bad : {0.0, -1.0, kNaN, kInf}) {
    CHECK_FALSE(chooser.decide({20, 0, ms(bad, 1)}));
    CHECK_FALSE(chooser.decide({20, 0, ms(1, bad)}));
  }
  CHECK_FALSE(chooser.decide({0, 0, ratio(1, 1)}));
  CHECK(chooser.decide({0xFFFFFFFFu, 0xFFFFFFFFu, ms(5e-324, 5e-324)})->source == Choice::Source::kFastest);
  const auto table = LatencyTable::create(small_table()).value();
  const auto refused = [&](auto change) {
    SchedulerOptions options;
    change(options);
    return !Scheduler::create(table, options).ok();
  };
  CHECK(refused([](SchedulerOptions& o) { o.prompt_levels = {}; }));
  CHECK(refused([](SchedulerOptions& o) { o.prompt_levels = {50}; }));
  CHECK(refused([](SchedulerOptions& o) { o.prompt_levels = {0, 100}; }));
  CHECK(refused([](SchedulerOptions& o) { o.prompt_levels = {100, 50, 100}; }));
  CHECK(refused([](SchedulerOptions& o) { o.margin = -0.1; }));
  CHECK(refused([&](SchedulerOptions& o) { o.margin = kNaN; }));
  CHECK(refused([&](SchedulerOptions& o) { o.accuracy = {{{50, 100}, kNaN}}; }));
}

TEST_CASE("an objective is met by times up to it; one token has no time per further token", "[runtime][unit]") {
  CHECK(elrt::slo_met({10, 2}, {10, 2}, 5));
  CHECK_FALSE(elrt::slo_met({10, 2}, {10.1, 2}, 5));
  CHECK_FALSE(elrt::slo_met({10, 2}, {10, 2.1}, 5));
  CHECK(elrt::slo_met({10, 2}, {10, 99}, 1));
}

TEST_CASE("the C API calibrates and decides", "[runtime][unit]") {
  const TemporaryFile file(elastify_test::tiny_artifact_with_tokenizer().build());
  const TemporaryFile table(std::vector<unsigned char>{'x'});
  elrt_engine* engine = nullptr;
  elrt_session* session = nullptr;
  elrt_scheduler* chooser = nullptr;
  elrt_session_options threads;
  ELRT_INIT(&threads);
  threads.threads = 1;
  REQUIRE(elrt_engine_open(file.path().c_str(), &engine) == ELRT_OK);
  REQUIRE(elrt_session_create(engine, &threads, &session) == ELRT_OK);
  CHECK(elrt_scheduler_open(engine, session, nullptr, nullptr, &chooser) == ELRT_INVALID_ARGUMENT);
  CHECK(std::strstr(elrt_last_error(), "calibrate") != nullptr);
  CHECK(elrt_scheduler_open(engine, session, table.path().c_str(), nullptr, &chooser) == ELRT_BAD_DATA);
  elrt_calibrate_options measured;
  ELRT_INIT(&measured);
  measured.threads = 1;
  measured.repeats = 1;
  double done = 0;
  const auto keep = [](double share, void* user) {
    *static_cast<double*>(user) = share;
    return 1;
  };
  REQUIRE(elrt_calibrate(engine, &measured, table.path().c_str(), keep, &done) == ELRT_OK);
  CHECK(done == Approx(1));
  REQUIRE(elrt_scheduler_open(engine, session, table.path().c_str(), nullptr, &chooser) == ELRT_OK);
  elrt_engine_close(engine);
  elrt_request request;
  ELRT_INIT(&request);
  request.prompt_tokens = 12, request.output_tokens = 4, request.ttft = request.tpot = 1;
  elrt_choice choice;
  ELRT_INIT(&choice);
  REQUIRE(elrt_decide(chooser, &request, &choice) == ELRT_OK);
  CHECK(choice.level == 100);
  CHECK(choice.prompt_level == 100);
  CHECK(choice.feasible == 1);
  CHECK(choice.decode_level == 100);
  CHECK(choice.predicted_ttft_ms == choice.limit_ttft_ms);
  request.unit = ELRT_SLO_MILLISECONDS;
  request.ttft = 1e-9;
  REQUIRE(elrt_decide(chooser, &request, &choice) == ELRT_OK);
  CHECK(choice.feasible == 0);
  request.ttft = -1;
  CHECK(elrt_decide(chooser, &request, &choice) == ELRT_INVALID_ARGUMENT);
  request.ttft = 1;
  const int unknown = 9;
  std::memcpy(&request.unit, &unknown, sizeof(unknown));
  CHECK(elrt_decide(chooser, &request, &choice) == ELRT_INVALID_ARGUMENT);
  CHECK(std::strstr(elrt_last_error(), "unit is 9") != nullptr);
  elrt_scheduler_close(chooser);
  elrt_scheduler_close(nullptr);
  elrt_session_destroy(session);
}
