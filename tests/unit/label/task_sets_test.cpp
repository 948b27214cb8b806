// Where the tasks come from that train and judge the decision-head.
#include <catch2/catch.hpp>

#include <set>

#include "label/task_sets.h"
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

  const LabelTasks usual = prepare_tasks(config, tlm.model, tlm.vocabulary);
  CHECK(of_split(usual, TaskSplit::kTrain) == checksums(choose_tasks(train, TaskHalf::kSecond, 0)));
  CHECK(of_split(usual, TaskSplit::kValidation) == checksums(validation));

  config.decisions_from = "validation";
  const LabelTasks held_out = prepare_tasks(config, tlm.model, tlm.vocabulary);
  const auto trains = of_split(held_out, TaskSplit::kTrain), validates = of_split(held_out, TaskSplit::kValidation);
  CHECK(trains == checksums(choose_tasks(validation, TaskHalf::kFirst, 0)));
  CHECK(validates == checksums(choose_tasks(validation, TaskHalf::kSecond, 0)));
  for (const std::int64_t checksum : trains) CHECK(validates.count(checksum) == 0);
  CHECK(of_split(held_out, TaskSplit::kTest) == of_split(usual, TaskSplit::kTest));
}
