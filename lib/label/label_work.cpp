#include "label/label_work.h"

#include <elrt/artifact.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <span>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/runtime_result.h"
#include "eval/task_tokens.h"
#include "label/phase_losses.h"
#include "label/task_prompt.h"

namespace elastify {
namespace {

using nlohmann::json;

json to_json(const PreparedTask& task) {
  return {{"checksum", task.checksum}, {"split", static_cast<std::int64_t>(task.split)},
          {"family", task.family},     {"options", task.options},
          {"answer", task.answer},     {"prompts", task.prompts},
          {"words", task.words}};
}

PreparedTask task_from_json(const json& object) {
  PreparedTask task;
  object.at("checksum").get_to(task.checksum);
  task.split = static_cast<TaskSplit>(object.at("split").get<std::int64_t>());
  object.at("family").get_to(task.family);
  object.at("options").get_to(task.options);
  object.at("answer").get_to(task.answer);
  object.at("prompts").get_to(task.prompts);
  object.at("words").get_to(task.words);
  return task;
}

LabelPlan read_plan(const fs::path& work) {
  const json object = read_json(work / "plan.json");
  try {
    return {object.at("artifact").get<std::string>(),
            object.at("model_levels"),
            object.at("prompt_levels"),
            object.at("families"),
            object.at("chunk_tasks"),
            object.at("phases")};
  } catch (const json::exception& error) {
    fail_data("{} is damaged: {}; remove the folder and run the label stage again", (work / "plan.json").string(),
              error.what());
  }
}

std::vector<PreparedTask> read_prepared(const fs::path& work, const LabelPlan& plan) {
  std::vector<PreparedTask> tasks;
  std::istringstream lines(read_file(work / "tasks.jsonl"));
  try {
    for (std::string line; std::getline(lines, line);) {
      tasks.push_back(task_from_json(json::parse(line)));
      const PreparedTask& task = tasks.back();
      const bool fits = task.answer < task.options.size() && task.prompts.size() == plan.prompt_levels.size() &&
                        task.words.size() == task.prompts.size();
      if (!fits) fail_data("{} line {}: a field has the wrong size", (work / "tasks.jsonl").string(), tasks.size());
    }
  } catch (const json::exception& error) {
    fail_data("{} line {} is damaged: {}", (work / "tasks.jsonl").string(), tasks.size() + 1, error.what());
  }
  return tasks;
}

// Held while a chunk is worked on.
class ChunkLock {
 public:
  explicit ChunkLock(const fs::path& path) : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    if (descriptor_ < 0) fail(ErrorCode::kInternal, "cannot open {}", path.string());
    held_ = ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0;
  }
  ~ChunkLock() { ::close(descriptor_); }
  ChunkLock(const ChunkLock&) = delete;
  ChunkLock& operator=(const ChunkLock&) = delete;
  bool held() const { return held_; }

 private:
  int descriptor_;
  bool held_ = false;
};

// One thread's share of the work.
class ChunkRunner {
 public:
  ChunkRunner(const LabelPlan& plan, const std::vector<PreparedTask>& tasks, const elrt::Artifact& artifact,
              const elrt::Tokenizer& tokenizer)
      : plan_(plan), tasks_(tasks), artifact_(artifact), tokenizer_(tokenizer) {}

  OutcomeTable run(std::size_t begin, std::size_t end) const {
    OutcomeTable table = empty_table(begin, end);
    std::vector<std::vector<TaskTokens>> tokens;
    for (std::size_t i = begin; i < end; ++i)
      tokens.push_back(describe(table, static_cast<std::int64_t>(i - begin), tasks_[i]));
    // One session at a time: a large model's caches are large.
    for (std::size_t m = 0; m < plan_.model_levels.size(); ++m) {
      elrt::SessionOptions options;
      options.threads = 1;
      options.level = static_cast<std::uint32_t>(plan_.model_levels[m]);
      elrt::Session session = take(elrt::Session::create(artifact_, options));
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        for (std::size_t p = 0; p < tokens[i].size(); ++p)
          answer(session, tokens[i][p], table,
                 {static_cast<std::int64_t>(i), static_cast<std::int64_t>(m), static_cast<std::int64_t>(p)});
      }
    }
    return table;
  }

 private:
  struct Place {
    std::int64_t task, model_level, prompt_level;
  };

  OutcomeTable empty_table(std::size_t begin, std::size_t end) const {
    const auto n = static_cast<std::int64_t>(end - begin), m = static_cast<std::int64_t>(plan_.model_levels.size());
    const auto p = static_cast<std::int64_t>(plan_.prompt_levels.size());
    std::size_t options = 0;
    for (std::size_t i = begin; i < end; ++i) options = std::max(options, tasks_[i].options.size());
    OutcomeTable t;
    t.model_levels = plan_.model_levels;
    t.prompt_levels = plan_.prompt_levels;
    t.families = plan_.families;
    for (auto* tensor : {&t.task, &t.split, &t.family, &t.answer, &t.output_tokens})
      *tensor = torch::zeros({n}, torch::kInt64);
    for (auto* tensor : {&t.prompt_tokens, &t.prompt_words}) *tensor = torch::zeros({n, p}, torch::kInt64);
    t.chosen = torch::full({n, m, m, p}, -1, torch::kInt64);
    t.losses = torch::full({n, m, m, p, static_cast<std::int64_t>(options)}, -1.0, torch::kFloat64);
    return t;
  }

  // Everything but the outcomes; the prompts' tokens.
  std::vector<TaskTokens> describe(OutcomeTable& table, std::int64_t row, const PreparedTask& prepared) const {
    TaskItem task;
    task.id = fmt::format("task {:016x}", static_cast<std::uint64_t>(prepared.checksum));
    task.options = prepared.options;
    task.answer = prepared.answer;
    table.task[row] = prepared.checksum;
    table.split[row] = static_cast<std::int64_t>(prepared.split);
    table.family[row] = prepared.family;
    table.answer[row] = static_cast<std::int64_t>(prepared.answer);
    std::vector<TaskTokens> all;
    for (std::size_t p = 0; p < prepared.prompts.size(); ++p) {
      all.push_back(tokenize_task(tokenizer_, "", asked_behind(task, prepared.prompts[p]), artifact_.shape().context));
      if (!all[p].fits || all[p].shortened)
        fail_data("{} exceeds the model's context of {} tokens", task.id, artifact_.shape().context);
      const auto& right = all[p].options[prepared.answer];
      const auto column = static_cast<std::int64_t>(p);
      table.prompt_tokens[row][column] = static_cast<std::int64_t>(right.from);
      table.prompt_words[row][column] = prepared.words[p];
      table.output_tokens[row] = static_cast<std::int64_t>(right.ids.size() - right.from);
    }
    return all;
  }

  void answer(elrt::Session& session, const TaskTokens& tokens, OutcomeTable& table, Place at) const {
    const std::span<const std::int64_t> levels(plan_.model_levels);
    const auto own = static_cast<std::size_t>(at.model_level);
    const std::size_t lowest = plan_.phases ? 0 : own;
    const auto found = phase_losses(session, tokens.options, levels.subspan(lowest, own + 1 - lowest));
    auto losses = table.losses.accessor<double, 5>()[at.task][at.model_level];
    auto chosen = table.chosen.accessor<std::int64_t, 4>()[at.task][at.model_level];
    for (std::size_t d = lowest; d <= own; ++d) {
      const auto& of_options = found[d - lowest];
      const auto level = static_cast<std::int64_t>(d);
      std::copy(of_options.begin(), of_options.end(), &losses[level][at.prompt_level][0]);
      chosen[level][at.prompt_level] = std::min_element(of_options.begin(), of_options.end()) - of_options.begin();
    }
  }

  const LabelPlan& plan_;
  const std::vector<PreparedTask>& tasks_;
  const elrt::Artifact& artifact_;
  const elrt::Tokenizer& tokenizer_;
};

fs::path chunk_path(const fs::path& work, std::size_t chunk, const char* extension) {
  return work / fmt::format("{}{}", chunk, extension);
}

// All threads of one process.
class LabelCrew {
 public:
  LabelCrew(const fs::path& work, const LabelPlan& plan, const std::vector<PreparedTask>& tasks)
      : work_(work),
        plan_(plan),
        tasks_(tasks),
        artifact_(take(elrt::Artifact::open(plan.artifact))),
        tokenizer_(take(artifact_.tokenizer())),
        chunk_tasks_(static_cast<std::size_t>(plan.chunk_tasks)),
        chunks_((tasks.size() + chunk_tasks_ - 1) / chunk_tasks_),
        progress_("label", static_cast<std::int64_t>(chunks_), "chunks") {}

  // Rounds over all chunks until none is left: what another process holds is left to it, or taken over when it died.
  void run(std::size_t threads) {
    progress_.resume_at(static_cast<std::int64_t>(done()));
    while (done() < chunks_) {
      std::atomic<bool> worked{false};
      work_in_parallel(chunks_, threads, [&] {
        return [&, runner = ChunkRunner(plan_, tasks_, artifact_, *tokenizer_)](std::size_t chunk) {
          if (try_chunk(runner, chunk)) worked = true;
        };
      });
      if (!worked) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }

 private:
  bool is_done(std::size_t chunk) const { return fs::exists(chunk_path(work_, chunk, ".h5")); }
  std::size_t done() const {
    std::size_t count = 0;
    for (std::size_t c = 0; c < chunks_; ++c) count += is_done(c) ? 1 : 0;
    return count;
  }

  bool try_chunk(const ChunkRunner& runner, std::size_t chunk) {
    if (is_done(chunk)) return false;
    const ChunkLock lock(chunk_path(work_, chunk, ".lock"));
    if (!lock.held() || is_done(chunk)) return false;
    stop_if_interrupted();
    const OutcomeTable table = runner.run(chunk * chunk_tasks_, std::min(tasks_.size(), (chunk + 1) * chunk_tasks_));
    const std::scoped_lock one_at_a_time(mutex_);  // HDF5 is not made for threads
    save_outcomes(chunk_path(work_, chunk, ".h5"), table);
    progress_.update(static_cast<std::int64_t>(done()));
    return true;
  }

  const fs::path& work_;
  const LabelPlan& plan_;
  const std::vector<PreparedTask>& tasks_;
  elrt::Artifact artifact_;
  std::shared_ptr<const elrt::Tokenizer> tokenizer_;
  std::size_t chunk_tasks_, chunks_;
  std::mutex mutex_;  // of all below, and of HDF5
  Progress progress_;
};

}  // namespace

void prepare_label_work(const fs::path& work, const LabelPlan& plan, const std::vector<PreparedTask>& tasks) {
  require(!tasks.empty(), "there are no tasks to label");
  if (fs::exists(work / "plan.json")) return;
  std::string lines;
  for (const auto& task : tasks) lines += to_json(task).dump() + "\n";
  write_file(work / "tasks.jsonl", lines);
  write_json(work / "plan.json", {{"artifact", fs::absolute(plan.artifact).string()},
                                  {"model_levels", plan.model_levels},
                                  {"prompt_levels", plan.prompt_levels},
                                  {"families", plan.families},
                                  {"tasks", tasks.size()},
                                  {"chunk_tasks", plan.chunk_tasks},
                                  {"phases", plan.phases}});
}

void run_label_work(const fs::path& work, std::int64_t threads) {
  const LabelPlan plan = read_plan(work);
  const auto tasks = read_prepared(work, plan);
  LabelCrew crew(work, plan, tasks);
  crew.run(static_cast<std::size_t>(std::max<std::int64_t>(threads, 0)));
}

OutcomeTable collect_label_work(const fs::path& work) {
  const LabelPlan plan = read_plan(work);
  const std::size_t tasks = read_prepared(work, plan).size();
  std::vector<OutcomeTable> parts;
  for (std::size_t c = 0; c * static_cast<std::size_t>(plan.chunk_tasks) < tasks; ++c)
    parts.push_back(load_outcomes(chunk_path(work, c, ".h5")));
  return join_tables(parts);
}

}  // namespace elastify
