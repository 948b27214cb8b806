// Labelling on a tiny artifact, against one fresh session per text; shared by processes and resumed.
#include "label/label_work.h"
#include "unit/label/support.h"
#include "unit/runtime/tiny_tokenizer.h"

#include <fmt/format.h>

#include <sys/wait.h>
#include <unistd.h>
#include <elrt/generator.hpp>
#include <elrt/scorer.hpp>

#include <limits>
#include <thread>

using namespace elastify;
using namespace elastify_test;

namespace {

std::vector<PreparedTask> make_tasks() {
  std::vector<PreparedTask> tasks;
  for (std::int64_t i = 0; i < 11; ++i) {
    PreparedTask task;
    task.checksum = 1000 + i;
    task.split = static_cast<TaskSplit>(i % 3);
    task.family = i % 2;
    task.options = {"ab", fmt::format("c{}", i), "a b c"};
    if (i % 4 == 0) task.options.push_back("bb");
    task.answer = static_cast<std::size_t>(i) % task.options.size();
    task.prompts = {"a b", fmt::format("a b cc{}", i)};
    task.words = {1, 2};
    tasks.push_back(task);
  }
  return tasks;
}

struct Setup {
  TempDir dir;
  TemporaryFile file{tiny_artifact_with_tokenizer().build()};
  fs::path folder(const std::string& name) {
    const fs::path work = dir / name;
    fs::create_directories(work);
    prepare_label_work(work, {file.path(), {50, 100}, {50, 100}, {"f", "g"}, 3}, make_tasks());
    return work;
  }
  std::string outcome(const fs::path& work) {
    save_outcomes(dir / "out.h5", collect_label_work(work));
    return read_bytes(dir / "out.h5");
  }
};

}  // namespace

TEST_CASE("every task is asked under every decision, as fresh sessions would answer", "[label][unit]") {
  Setup setup;
  const fs::path work = setup.folder("work");
  run_label_work(work, 2);
  const OutcomeTable table = collect_label_work(work);
  const auto tasks = make_tasks();
  const elrt::Artifact artifact = std::move(elrt::Artifact::open(setup.file.path())).value();
  const auto tokenizer = artifact.tokenizer().value();
  REQUIRE(table.tasks() == 11);
  for (std::int64_t i = 0; i < 11; ++i) {
    const auto& task = tasks[static_cast<std::size_t>(i)];
    CHECK(table.task[i].item<std::int64_t>() == task.checksum);
    CHECK(table.answer[i].item<std::int64_t>() == static_cast<std::int64_t>(task.answer));
    for (std::int64_t m = 0; m < 2; ++m) {
      for (std::int64_t p = 0; p < 2; ++p) {
        const std::string& prompt = task.prompts[static_cast<std::size_t>(p)];
        std::size_t best = 0;
        double lowest = std::numeric_limits<double>::infinity();
        const auto before = elrt::prompt_tokens(*tokenizer, prompt).value();
        for (std::size_t o = 0; o < task.options.size(); ++o) {
          elrt::SessionOptions options;
          options.level = m == 0 ? 50 : 100;
          elrt::Session session = std::move(elrt::Session::create(artifact, options)).value();
          const auto ids = elrt::prompt_tokens(*tokenizer, prompt + " " + task.options[o]).value();
          const auto from = static_cast<std::size_t>(
              std::mismatch(before.begin(), before.end(), ids.begin(), ids.end()).first - before.begin());
          const auto losses = elrt::score_tail(session, ids, from).value();
          double mean = 0;
          for (const double loss : losses) mean += loss / static_cast<double>(losses.size());
          CHECK(table.losses[i][m][p][static_cast<std::int64_t>(o)].item<double>() == Approx(mean).epsilon(1e-12));
          if (mean < lowest) lowest = mean, best = o;
          if (o == task.answer)
            CHECK(table.prompt_tokens[i][p].item<std::int64_t>() == static_cast<std::int64_t>(from));
        }
        CHECK(table.chosen[i][m][p].item<std::int64_t>() == static_cast<std::int64_t>(best));
      }
    }
  }
}

TEST_CASE("killed, shared or alone, labelling gives the same bits", "[label][unit]") {
  Setup setup;
  const fs::path alone = setup.folder("alone"), shared = setup.folder("shared");
  run_label_work(alone, 1);
  // Another process is killed while it works, a third one works to the end next to this one.
  const pid_t killed = fork();
  if (killed == 0) {
    run_label_work(shared, 1);
    _exit(0);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(3));
  kill(killed, SIGKILL);
  waitpid(killed, nullptr, 0);
  const pid_t helper = fork();
  if (helper == 0) {
    run_label_work(shared, 1);
    _exit(0);
  }
  run_label_work(shared, 1);
  int status = -1;
  waitpid(helper, &status, 0);
  CHECK(status == 0);
  CHECK(setup.outcome(shared) == setup.outcome(alone));
}

TEST_CASE("work that does not fit or is damaged is refused", "[label][unit]") {
  Setup setup;
  auto tasks = make_tasks();
  tasks[4].prompts[1] = std::string(10000, 'a');
  const fs::path work = setup.dir / "long";
  fs::create_directories(work);
  prepare_label_work(work, {setup.file.path(), {50, 100}, {50, 100}, {"f", "g"}, 3}, tasks);
  expect_error(ErrorCode::kBadData, {"exceeds the model's context"}, [&] { run_label_work(work, 2); });
  const fs::path damaged = setup.folder("damaged");
  write_bytes(damaged / "tasks.jsonl", "{}\n");
  expect_error(ErrorCode::kBadData, {"tasks.jsonl line 1"}, [&] { run_label_work(damaged, 1); });
}
