#include "label/task_sets.h"

#include <elrt/artifact.hpp>

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/runtime_result.h"
#include "eval/task_reader.h"
#include "label/sentence_labels.h"
#include "label/word_ranking.h"
#include "tlm/compression_pairs.h"
#include "tlm/prompt_scorer.h"
#include "tlm/word_alignment.h"

namespace elastify {

std::vector<TaskItem> read_own_tasks(const std::vector<std::string>& paths) {
  std::vector<TaskItem> tasks;
  for (const auto& path : paths) {
    for (auto& item : read_task_file(path).items) {
      if (item.leads.empty()) tasks.push_back(std::move(item.task));
    }
  }
  return tasks;
}

std::vector<TaskItem> choose_tasks(const std::vector<TaskItem>& tasks, TaskHalf half, std::int64_t count) {
  std::map<std::string, std::vector<const TaskItem*>> families;
  for (const auto& task : tasks) families[task.family].push_back(&task);
  std::vector<TaskItem> chosen;
  for (const auto& [family, all] : families) {
    const std::size_t middle = (all.size() + 1) / 2;
    const std::size_t begin = half == TaskHalf::kSecond ? middle : 0,
                      end = half == TaskHalf::kFirst ? middle : all.size();
    const std::size_t there = end - begin,
                      wanted = count > 0 ? std::min(there, static_cast<std::size_t>(count)) : there;
    for (std::size_t i = 0; i < wanted; ++i) chosen.push_back(*all[begin + i * there / wanted]);
  }
  return chosen;
}

std::int64_t task_checksum(const TaskItem& task) {
  const std::string text = format_task(task);
  return static_cast<std::int64_t>(checksum64(text.data(), text.size()));
}

void compress_levels(PreparedTask& task, const WordedPrompt& prompt, const std::vector<float>& scores,
                     const std::vector<std::int64_t>& prompt_levels) {
  task.prompts.clear();
  task.words.clear();
  for (const std::int64_t level : prompt_levels) {
    auto compressed = take(elrt::compress_prompt(prompt.text, prompt.pieces.words, scores,
                                                 static_cast<std::uint32_t>(level), prompt.rules));
    task.prompts.push_back(std::move(compressed.text));
    task.words.push_back(static_cast<std::int64_t>(compressed.words_kept));
  }
}

LabelTasks prepare_tasks(const LabelConfig& config, const DualHead& model, const elrt::WordPiece& vocabulary,
                         std::uint64_t seed) {
  LabelTasks result;
  std::vector<TaskItem> all;
  std::vector<TaskSplit> splits;
  const auto add = [&](TaskSplit split, const std::vector<std::string>& paths, TaskHalf half, std::int64_t count) {
    if (paths.empty() || count == 0) return;
    for (auto& task : choose_tasks(read_own_tasks(paths), half, count)) all.push_back(std::move(task));
    splits.resize(all.size(), split);
  };
  const bool held_out = config.decisions_from == "validation";
  add(TaskSplit::kTrain, held_out ? config.validation : config.train, held_out ? TaskHalf::kFirst : TaskHalf::kSecond,
      config.train_items);
  add(TaskSplit::kValidation, config.validation, held_out ? TaskHalf::kSecond : TaskHalf::kAll,
      config.validation_items);
  add(TaskSplit::kTest, config.test, TaskHalf::kAll, config.test_items);
  for (const auto& task : all) result.families.push_back(task.family);
  std::sort(result.families.begin(), result.families.end());
  result.families.erase(std::unique(result.families.begin(), result.families.end()), result.families.end());

  std::vector<WordedPrompt> prompts;
  for (const auto& task : all) prompts.push_back(word_prompt(task, vocabulary));
  const auto scores = rank_words(ranking_of_labels(config), all, prompts, model, vocabulary, seed);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const TaskItem& task = all[i];
    PreparedTask prepared;
    prepared.checksum = task_checksum(task);
    prepared.split = splits[i];
    prepared.family =
        std::lower_bound(result.families.begin(), result.families.end(), task.family) - result.families.begin();
    prepared.options = task.options;
    prepared.answer = task.answer;
    compress_levels(prepared, prompts[i], scores[i], config.prompt_levels);
    result.tasks.push_back(std::move(prepared));
  }
  return result;
}

namespace {

// Rows of one task, by a language model of the calling thread's own.
using RowMaker = std::function<std::vector<LabelledRow>(TaskModel& model, const elrt::Tokenizer& tokenizer,
                                                        const TaskItem& task, std::size_t context_tokens)>;

std::vector<LabelledRow> rows_in_parallel(const char* what, const std::vector<TaskItem>& tasks,
                                          const fs::path& artifact_path, std::int64_t level, std::int64_t threads,
                                          const RowMaker& make) {
  const elrt::Artifact artifact = take(elrt::Artifact::open(artifact_path));
  const auto tokenizer = take(artifact.tokenizer());
  std::vector<std::vector<LabelledRow>> found(tasks.size());
  std::mutex mutex;
  std::int64_t done = 0;
  Progress progress(what, static_cast<std::int64_t>(tasks.size()), "tasks");
  work_in_parallel(tasks.size(), static_cast<std::size_t>(threads), [&] {
    elrt::SessionOptions options;
    options.threads = 1;
    options.level = static_cast<std::uint32_t>(level);
    auto model = std::make_shared<SessionTaskModel>(take(elrt::Session::create(artifact, options)), *tokenizer);
    return [&, model](std::size_t i) {
      found[i] = make(*model, *tokenizer, tasks[i], artifact.shape().context);
      const std::scoped_lock lock(mutex);
      progress.update(++done);
    };
  });
  std::vector<LabelledRow> rows;
  for (auto& part : found) std::move(part.begin(), part.end(), std::back_inserter(rows));
  if (rows.empty()) fail_data("no task fits the language model's context of {} tokens", artifact.shape().context);
  return rows;
}

}  // namespace

std::vector<LabelledRow> induced_rows(const std::vector<TaskItem>& tasks, const elrt::WordPiece& vocabulary,
                                      const fs::path& artifact, const TlmStageConfig& config, const SloIds& slo,
                                      std::int64_t threads) {
  const auto make = [&](TaskModel& model, const elrt::Tokenizer& tokenizer, const TaskItem& task,
                        std::size_t context_tokens) -> std::vector<LabelledRow> {
    const WordedPrompt prompt = word_prompt(task, vocabulary);
    const auto importance = word_importance(model, tokenizer, task, prompt, config.words, context_tokens);
    if (importance.empty()) return {};
    return labelled_rows(vocabulary, prompt.pieces, retain_labels(prompt, importance, config.words.min_rise), slo,
                         config.model.size.max_positions);
  };
  return rows_in_parallel("word labels", tasks, artifact, config.word_level, threads, make);
}

std::vector<LabelledRow> question_rows(const std::vector<TaskItem>& tasks, const elrt::WordPiece& vocabulary,
                                       const fs::path& artifact, const TlmStageConfig& config, const SloIds& slo,
                                       std::int64_t threads) {
  const auto make = [&](TaskModel& model, const elrt::Tokenizer& tokenizer, const TaskItem& task,
                        std::size_t context_tokens) -> std::vector<LabelledRow> {
    const WordedPrompt prompt = word_prompt(task, vocabulary);
    const auto rises = sentence_rises(model, tokenizer, task, prompt, context_tokens);
    if (rises.empty()) return {};
    auto rows = labelled_rows(vocabulary, prompt.pieces, {}, slo, config.model.size.max_positions);
    for (auto& row : rows) {
      row.sentences.assign(prompt.pieces.words.size(), -1);
      for (std::size_t s = 0; s < rises.size(); ++s) {
        row.rises.push_back(static_cast<float>(rises[s].rise));
        for (std::size_t w = rises[s].words.begin; w < rises[s].words.end; ++w)
          row.sentences[w] = static_cast<std::int64_t>(s);
      }
    }
    return rows;
  };
  return rows_in_parallel("sentence labels", tasks, artifact, config.word_level, threads, make);
}

std::vector<LabelledRow> pair_rows(const std::vector<std::string>& paths, const elrt::WordPiece& vocabulary,
                                   const SloIds& slo, std::int64_t max_positions) {
  const auto words_of_text = [](const std::string& text, const elrt::WordPieces& pieces) {
    std::vector<std::string> words;
    for (const auto& word : pieces.words) words.push_back(text.substr(word.begin, word.end - word.begin));
    return words;
  };
  std::vector<LabelledRow> rows;
  for (const auto& path : paths) {
    for (const auto& pair : read_compression_pairs(path)) {
      const auto original = encode_words(vocabulary, pair.original),
                 compressed = encode_words(vocabulary, pair.compressed);
      const auto kept =
          kept_by_alignment(words_of_text(pair.original, original), words_of_text(pair.compressed, compressed));
      const std::vector<std::int64_t> labels(kept.begin(), kept.end());
      auto part = labelled_rows(vocabulary, original, labels, slo, max_positions);
      std::move(part.begin(), part.end(), std::back_inserter(rows));
    }
  }
  return rows;
}

}  // namespace elastify
