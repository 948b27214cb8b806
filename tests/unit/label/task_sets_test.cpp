// Where the tasks come from that train and judge the decision-head.
#include <catch2/catch.hpp>

#include <set>

#include "label/task_sets.h"
#include "label/word_ranking.h"
#include "support/temp_dir.h"
#include "tasks/suite.h"
#include "tlm/prompt_scorer.h"

using namespace elastify;
using elastify_test::TempDir;

namespace {

std::set<std::int64_t> checksums(const std::vector<TaskItem>& tasks) {
  std::set<std::int64_t> found;
  for (const auto& task : tasks) found.insert(task_checksum(task));
  return found;
}

std::set<std::int64_t> of_split(const LabelTasks& tasks, TaskSplit split) {
  std::set<std::int64_t> found;
  for (const auto& task : tasks.tasks) {
    if (task.split == split) found.insert(task.checksum);
  }
  return found;
}

}  // namespace

TEST_CASE("the decision-head's tasks are one half of their file, and what judges it is another", "[label][unit]") {
  const fs::path source = ELASTIFY_SOURCE_DIR;
  const TempDir dir;
  SuiteRequest request;
  request.bank = source / "datasets/tasks";
  request.out = dir.path();
  request.items = {{4, 6, 2}};
  make_suite(request);
  LabelConfig config;
  config.train = {(dir.path() / "train.jsonl").string()};
  config.validation = {(dir.path() / "validation.jsonl").string()};
  config.test = {(dir.path() / "test.jsonl").string()};
  config.prompt_levels = {50, 100};
  const Tlm tlm = read_tlm(source / "datasets/models/assist-tlm", torch::kCPU);
  const auto train = read_own_tasks(config.train), validation = read_own_tasks(config.validation);

  const LabelTasks usual = prepare_tasks(config, tlm.model, tlm.vocabulary, 1);
  CHECK(of_split(usual, TaskSplit::kTrain) == checksums(choose_tasks(train, TaskHalf::kSecond, 0)));
  CHECK(of_split(usual, TaskSplit::kValidation) == checksums(validation));

  config.decisions_from = "validation";
  const LabelTasks held_out = prepare_tasks(config, tlm.model, tlm.vocabulary, 1);
  const auto trains = of_split(held_out, TaskSplit::kTrain), validates = of_split(held_out, TaskSplit::kValidation);
  CHECK(trains == checksums(choose_tasks(validation, TaskHalf::kFirst, 0)));
  CHECK(validates == checksums(choose_tasks(validation, TaskHalf::kSecond, 0)));
  for (const std::int64_t checksum : trains) CHECK(validates.count(checksum) == 0);
  CHECK(of_split(held_out, TaskSplit::kTest) == of_split(usual, TaskSplit::kTest));
}

TEST_CASE("random ranking keeps as many words, drawn by seed and task, and all of whole prompts", "[label][unit]") {
  const fs::path source = ELASTIFY_SOURCE_DIR;
  const TempDir dir;
  SuiteRequest request;
  request.bank = source / "datasets/tasks";
  request.out = dir.path();
  request.items = {{4, 2, 2}};
  make_suite(request);
  LabelConfig config;
  config.train = {(dir.path() / "train.jsonl").string()};
  config.prompt_levels = {30, 60, 100};
  const Tlm tlm = read_tlm(source / "datasets/models/assist-tlm", torch::kCPU);
  const auto prepare = [&](const char* ranking, std::uint64_t seed) {
    config.ranking = ranking;
    return prepare_tasks(config, tlm.model, tlm.vocabulary, seed).tasks;
  };
  const auto usual = prepare("score-head", 1), drawn = prepare("random", 1), again = prepare("random", 1),
             other = prepare("random", 2);
  std::size_t differ = 0, reseeded = 0;
  REQUIRE(drawn.size() == usual.size());
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    CHECK(drawn[i].checksum == usual[i].checksum);
    CHECK(drawn[i].words == usual[i].words);
    CHECK(drawn[i].prompts == again[i].prompts);
    CHECK(drawn[i].prompts[2] == usual[i].prompts[2]);
    differ += drawn[i].prompts[0] != usual[i].prompts[0] ? 1 : 0;
    reseeded += drawn[i].prompts[0] != other[i].prompts[0] ? 1 : 0;
  }
  CHECK(differ > drawn.size() / 2);
  CHECK(reseeded > drawn.size() / 2);
  CHECK(prepare("score-head", 2)[0].prompts == usual[0].prompts);

  // A word's draw is uniform over seeds: mean 1/2, standard error 0.29 / sqrt(400).
  const TaskItem task = read_own_tasks(config.train)[0];
  const std::vector<WordedPrompt> prompt = {word_prompt(task, tlm.vocabulary)};
  const auto free = free_words(prompt[0]);
  const auto first = static_cast<std::size_t>(std::find(free.begin(), free.end(), true) - free.begin());
  double sum = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed)
    sum += rank_words("random words", {task}, prompt, tlm.model, tlm.vocabulary, seed)[0][first];
  CHECK(sum / 400 == Approx(0.5).margin(0.06));  // four of them
}
