#include "eval/task_accuracy.h"

#include <elrt/artifact.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>

#include "base/error.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/plot.h"
#include "base/runtime_result.h"
#include "eval/context_mode.h"
#include "eval/few_shot.h"
#include "eval/interval.h"
#include "eval/task_examples.h"
#include "eval/task_reader.h"
#include "eval/task_score.h"

namespace elastify {
namespace {

using nlohmann::json;

struct PreparedTask {
  const EvalItem* item = nullptr;
  TaskTokens tokens;
};

std::vector<EvalItem> read_items(const std::vector<std::string>& paths) {
  std::vector<EvalItem> items;
  for (const auto& path : paths) {
    TaskFile file = read_task_file(path);
    for (const auto& [reason, count] : file.left_out) {
      spdlog::warn("{}: {} of {} items left out: {}", path, count, count + file.items.size(), reason);
    }
    std::move(file.items.begin(), file.items.end(), std::back_inserter(items));
  }
  return items;
}

// The first `limit` of each family.
std::vector<const EvalItem*> choose_items(const std::vector<EvalItem>& items, std::int64_t limit) {
  std::map<std::string, std::int64_t> counts;
  std::vector<const EvalItem*> chosen;
  for (const auto& item : items) {
    if (limit == 0 || counts[item.task.family]++ < limit) chosen.push_back(&item);
  }
  return chosen;
}

std::vector<PreparedTask> prepare(const std::vector<const EvalItem*>& items, const FewShot& examples,
                                  const elrt::Artifact& artifact, const elrt::Tokenizer& tokenizer, json& result) {
  std::vector<PreparedTask> tasks;
  std::size_t shortened = 0;
  for (const EvalItem* item : items) {
    TaskTokens tokens = tokenize_task(tokenizer, examples.examples_for(*item), *item, artifact.shape().context);
    if (!tokens.fits) continue;
    shortened += tokens.shortened ? 1 : 0;
    tasks.push_back({item, std::move(tokens)});
  }
  const std::size_t left_out = items.size() - tasks.size();
  if (tasks.empty()) fail_data("no task fits the model's context of {} tokens", artifact.shape().context);
  if (shortened > 0) {
    spdlog::warn("{} of {} prompts exceed the context of {} tokens and lost their beginning", shortened, items.size(),
                 artifact.shape().context);
  }
  if (left_out > 0) {
    spdlog::warn("{} of {} tasks left out: an option alone exceeds the context of {} tokens", left_out, items.size(),
                 artifact.shape().context);
  }
  result["items"] = tasks.size();
  result["shortened"] = shortened;
  result["left_out"] = left_out;
  return tasks;
}

// Runs tasks side by side, each on one thread: small models gain little from threads inside a matrix. Every outcome has
// its own place, and a session's logits depend on its text alone, so that results do not depend on who ran what.
class Runner {
 public:
  Runner(const elrt::Artifact& artifact, const elrt::Tokenizer& tokenizer, const std::vector<PreparedTask>& tasks,
         const TaskAccuracyRequest& request, std::size_t passes)
      : artifact_(artifact),
        tokenizer_(tokenizer),
        tasks_(tasks),
        generate_(request.generate),
        progress_("eval", static_cast<std::int64_t>(passes * tasks.size()), "tasks") {
    const std::size_t threads = request.threads > 0 ? static_cast<std::size_t>(request.threads) : core_count();
    chunks_ = (tasks.size() + kChunk - 1) / kChunk;
    workers_ = std::min(threads, chunks_);
    session_.threads = static_cast<std::uint32_t>(std::max<std::size_t>(1, threads / workers_));
  }

  std::vector<TaskOutcome> run(std::uint32_t level, bool use_adapter) {
    session_.level = level;
    session_.use_adapter = use_adapter;
    std::vector<TaskOutcome> outcomes(tasks_.size());
    work_in_parallel(chunks_, workers_, [&] {
      return [&, model = SessionTaskModel(take(elrt::Session::create(artifact_, session_)), tokenizer_)](
                 std::size_t chunk) mutable { work(model, chunk, outcomes); };
    });
    return outcomes;
  }

 private:
  static constexpr std::size_t kChunk = 8;  // neighbours often share a beginning, which one session reads once

  void work(SessionTaskModel& model, std::size_t chunk, std::vector<TaskOutcome>& outcomes) {
    for (std::size_t i = chunk * kChunk; i < std::min((chunk + 1) * kChunk, tasks_.size()); ++i) {
      outcomes[i] = run_task(model, tasks_[i].tokens, tasks_[i].item->task.answer, generate_);
      const std::scoped_lock lock(mutex_);
      progress_.update(++done_);
    }
  }

  const elrt::Artifact& artifact_;
  const elrt::Tokenizer& tokenizer_;
  const std::vector<PreparedTask>& tasks_;
  bool generate_;
  std::size_t chunks_ = 0, workers_ = 1;
  elrt::SessionOptions session_;
  std::mutex mutex_;  // of all below
  Progress progress_;
  std::int64_t done_ = 0;
};

// {mean_accuracy, [mean_exact_match], families}
json summarize(const std::vector<PreparedTask>& tasks, const std::vector<TaskOutcome>& outcomes) {
  std::map<std::string, FamilyTally> tallies;
  for (std::size_t i = 0; i < tasks.size(); ++i)
    tallies[tasks[i].item->task.family].add(tasks[i].item->task, outcomes[i]);
  json summary = {{"families", json::object()}};
  double accuracy = 0, exact = 0;
  std::size_t written = 0;
  for (const auto& [family, tally] : tallies) {
    summary["families"][family] = tally.to_json();
    accuracy += tally.accuracy();
    if (const auto share = tally.exact_match()) {
      exact += *share;
      ++written;
    }
  }
  summary["mean_accuracy"] = accuracy / static_cast<double>(tallies.size());
  if (written > 0) summary["mean_exact_match"] = exact / static_cast<double>(written);
  return summary;
}

json measure_level(Runner& runner, const std::vector<PreparedTask>& tasks, const elrt::LevelInfo& level, bool plain,
                   TaskExamples& examples) {
  const std::vector<TaskOutcome> outcomes = runner.run(level.level, true);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (outcomes[i].written) examples.add(i, level.level, *outcomes[i].written);
  }
  json result = summarize(tasks, outcomes);
  result["level"] = level.level;
  result["adapter"] = level.adapter_rank > 0;
  if (level.adapter_rank == 0 || !plain) return result;
  const json without = summarize(tasks, runner.run(level.level, false));
  for (const char* mean : {"mean_accuracy", "mean_exact_match"}) {
    if (without.contains(mean)) result[std::string(mean) + "_without_adapter"] = without.at(mean);
  }
  for (const auto& family : without.at("families").items())
    result["families"][family.key()]["without_adapter"] = family.value();
  return result;
}

std::vector<elrt::LevelInfo> choose_levels(const elrt::Artifact& artifact, const std::vector<std::int64_t>& asked) {
  if (asked.empty()) return artifact.levels();
  std::vector<elrt::LevelInfo> levels;
  for (const std::int64_t level : asked) {
    const bool possible = level >= 0 && level <= 100;
    levels.push_back(take(artifact.level(possible ? static_cast<std::uint32_t>(level) : UINT32_MAX)));
  }
  return levels;
}

}  // namespace

json measure_task_accuracy(const TaskAccuracyRequest& request) {
  if (request.limit < 0 || request.few_shot < 0 || request.threads < 0 || request.show < 0)
    fail_usage("--limit, --few-shot, --show and --threads must not be negative");
  const ContextMode mode = context_mode(request.context);
  const elrt::Artifact artifact = take(elrt::Artifact::open(request.artifact));
  const auto tokenizer = take(artifact.tokenizer());
  const auto levels = choose_levels(artifact, request.levels);
  const auto seed = static_cast<std::uint64_t>(request.seed);
  const auto whole = read_items(request.tasks);
  const auto items = with_contexts(whole, mode, seed);
  const FewShot examples(mode == ContextMode::kNone ? items : whole, static_cast<std::size_t>(request.few_shot), seed);
  json result = {{"context", request.context}, {"few_shot", request.few_shot}};
  const auto tasks = prepare(choose_items(items, request.limit), examples, artifact, *tokenizer, result);
  std::size_t passes = 0;
  for (const auto& level : levels) passes += level.adapter_rank > 0 && request.plain ? 2 : 1;
  Runner runner(artifact, *tokenizer, tasks, request, passes);
  result["levels"] = json::array();
  std::vector<const EvalItem*> asked;
  for (const auto& task : tasks) asked.push_back(task.item);
  TaskExamples shown(asked, request.generate ? request.show : 0);
  for (const auto& level : levels)
    result["levels"].push_back(measure_level(runner, tasks, level, request.plain, shown));
  if (request.generate && request.show > 0) result["examples"] = shown.to_json();
  return result;
}

namespace {

std::string percent(const json& value) { return fmt::format("{:.1f}", 100 * value.get<double>()); }

std::string family_row(const std::string& name, const json& family, bool generate) {
  const auto& ci = family.at("ci95");
  std::string row = fmt::format("{:<20}  {:>5}  {:>6}  {:>8}  {:>13}", name, family.at("n").get<std::size_t>(),
                                percent(family.at("chance")), percent(family.at("accuracy")),
                                percent(ci[0]) + " - " + percent(ci[1]));
  row += fmt::format("  {:>15}",
                     family.contains("without_adapter") ? percent(family["without_adapter"].at("accuracy")) : "-");
  row += fmt::format("  {:>6.3f}", family.at("loss").get<double>());
  if (generate) row += fmt::format("  {:>11}", family.contains("exact_match") ? percent(family["exact_match"]) : "-");
  return row + "\n";
}

std::string level_table(const json& level) {
  const bool generate = level.contains("mean_exact_match");
  std::string text =
      fmt::format("\nlevel {}{}\n{:<20}  {:>5}  {:>6}  {:>8}  {:>13}  {:>15}  {:>6}{}\n", level.at("level").get<int>(),
                  level.at("adapter").get<bool>() ? "" : ", no adapter", "family", "n", "chance", "accuracy", "95 %",
                  "without adapter", "loss", generate ? "  exact match" : "");
  for (const auto& family : level.at("families").items()) text += family_row(family.key(), family.value(), generate);
  text += fmt::format(
      "{:<20}  {:>5}  {:>6}  {:>8}  {:>13}  {:>15}", "mean of families", "", "", percent(level.at("mean_accuracy")), "",
      level.contains("mean_accuracy_without_adapter") ? percent(level["mean_accuracy_without_adapter"]) : "-");
  if (generate) text += fmt::format("  {:>6}  {:>11}", "", percent(level["mean_exact_match"]));
  return text + "\n";
}

struct ShareOfFamily {
  double accuracy = 0;
  std::size_t n = 0;
};

// The mean over families and its 95 % interval, in percent: the families' Wilson intervals joined by the distances of
// their ends from the shares (MOVER, Zou and Donner 2008).
void add_share(Series& series, double level, const std::vector<ShareOfFamily>& families) {
  double mean = 0, below = 0, above = 0;
  for (const auto& family : families) {
    const auto n = static_cast<double>(family.n);
    const Interval interval = wilson_interval(static_cast<std::size_t>(std::llround(family.accuracy * n)), family.n);
    mean += family.accuracy;
    below += std::pow(family.accuracy - interval.low, 2);
    above += std::pow(interval.high - family.accuracy, 2);
  }
  const double percent_each = 100 / static_cast<double>(families.size());
  series.x.push_back(level);
  series.y.push_back(percent_each * mean);
  series.low.push_back(percent_each * (mean - std::sqrt(below)));
  series.high.push_back(percent_each * (mean + std::sqrt(above)));
}

}  // namespace

std::string format_task_accuracy(const json& result) {
  std::string text = fmt::format(
      "{} tasks, context {}, {} examples; shares in percent, loss of the right option in nats per token\n",
      result.at("items").get<std::size_t>(), result.at("context").get<std::string>(), result.at("few_shot").get<int>());
  for (const auto& level : result.at("levels")) text += level_table(level);
  if (result.contains("examples")) text += format_examples(result.at("examples"));
  return text;
}

Plot task_accuracy_plot(const json& result) {
  Series with{"with adapter", {}, {}}, without{"without adapter", {}, {}}, chance{"chance", {}, {}};
  bool adapters = false;
  for (const auto& level : result.at("levels")) {
    const double name = level.at("level").get<double>();
    std::vector<ShareOfFamily> families, bare;
    double fair = 0;
    for (const auto& family : level.at("families")) {
      const auto n = family.at("n").get<std::size_t>();
      const bool both = family.contains("without_adapter");
      families.push_back({family.at("accuracy"), n});
      bare.push_back({both ? family["without_adapter"].at("accuracy") : family.at("accuracy"), n});
      adapters = adapters || both;
      fair += family.at("chance").get<double>();
    }
    add_share(with, name, families);
    add_share(without, name, bare);
    chance.x.push_back(name);
    chance.y.push_back(100 * fair / static_cast<double>(families.size()));
  }
  Plot plot{"Accuracy on tasks by level",
            "level, percent of the blocks' weights",
            "mean accuracy over families, percent, 95 % interval",
            false,
            false,
            {with}};
  if (adapters)
    plot.series.push_back(without);
  else
    plot.series.front().name = "accuracy";
  plot.series.push_back(chance);
  return plot;
}

bool draw_task_accuracy(const fs::path& svg, const json& result) { return draw_plot(svg, task_accuracy_plot(result)); }

}  // namespace elastify
