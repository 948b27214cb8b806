// Labelling on a tiny artifact, against one fresh session per text; shared by processes and resumed.
#include "label/label_work.h"
#include "label/phase_losses.h"
#include "unit/label/support.h"
#include "unit/runtime/tiny_tokenizer.h"

#include <fmt/format.h>

#include <sys/wait.h>
#include <unistd.h>
#include <elrt/generator.hpp>

#include <cmath>
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
  fs::path folder(const std::string& name, bool phases = true) {
    const fs::path work = dir / name;
    fs::create_directories(work);
    prepare_label_work(work, {file.path(), {50, 100}, {50, 100}, {"f", "g"}, 3, phases}, make_tasks());
    return work;
  }
  std::string outcome(const fs::path& work) {
    save_outcomes(dir / "out.h5", collect_label_work(work));
    return read_bytes(dir / "out.h5");
  }
};

// -log softmax(logits)[target].
double loss_of(std::span<const float> logits, std::int32_t target) {
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
  return std::log(sum) - logits[static_cast<std::size_t>(target)];
}

// The mean loss of ids[from..] by a session that is driven by hand: what is before them read at `level`, which gives
// the first; each further one read at `decode` over that cache.
double by_hand(const elrt::Artifact& artifact, const std::vector<std::int32_t>& ids, std::size_t from,
               std::uint32_t level, std::uint32_t decode) {
  elrt::SessionOptions options;
  options.level = level;
  elrt::Session session = std::move(elrt::Session::create(artifact, options)).value();
  double sum = loss_of(session.forward(std::span(ids).first(from)).value(), ids[from]);
  REQUIRE(session.set_level(decode, elrt::CachePolicy::kReuse));
  for (std::size_t i = from; i + 1 < ids.size(); ++i)
    sum += loss_of(session.forward(std::span(ids).subspan(i, 1)).value(), ids[i + 1]);
  return sum / static_cast<double>(ids.size() - from);
}

}  // namespace

TEST_CASE("every task is asked under every decision, as sessions driven by hand would answer", "[label][unit]") {
  Setup setup;
  const fs::path work = setup.folder("work");
  run_label_work(work, 2);
  const OutcomeTable table = collect_label_work(work);
  const auto tasks = make_tasks();
  const elrt::Artifact artifact = std::move(elrt::Artifact::open(setup.file.path())).value();
  const auto tokenizer = artifact.tokenizer().value();
  REQUIRE(table.tasks() == 11);
  CHECK(table.phases());
  int differ = 0;
  const std::vector<std::pair<int, int>> levels = {{0, 0}, {1, 0}, {1, 1}};
  for (std::int64_t i = 0; i < 11; ++i) {
    const auto& task = tasks[static_cast<std::size_t>(i)];
    CHECK(table.task[i].item<std::int64_t>() == task.checksum);
    CHECK(table.answer[i].item<std::int64_t>() == static_cast<std::int64_t>(task.answer));
    CHECK((table.losses[i][0][1] == -1).all().item<bool>());
    CHECK((table.chosen[i][0][1] == -1).all().item<bool>());
    for (const auto& [m, d] : levels) {
      for (std::int64_t p = 0; p < 2; ++p) {
        const std::string& prompt = task.prompts[static_cast<std::size_t>(p)];
        std::size_t best = 0;
        double lowest = std::numeric_limits<double>::infinity();
        const auto before = elrt::prompt_tokens(*tokenizer, prompt).value();
        for (std::size_t o = 0; o < task.options.size(); ++o) {
          const auto ids = elrt::prompt_tokens(*tokenizer, prompt + " " + task.options[o]).value();
          const auto from = static_cast<std::size_t>(
              std::mismatch(before.begin(), before.end(), ids.begin(), ids.end()).first - before.begin());
          const double mean = by_hand(artifact, ids, from, m == 0 ? 50 : 100, d == 0 ? 50 : 100);
          const double found = table.losses[i][m][d][p][static_cast<std::int64_t>(o)].item<double>();
          CHECK(found == Approx(mean).epsilon(1e-6));  // sums of float logits, in another order
          differ += m != d && found != table.losses[i][1][1][p][static_cast<std::int64_t>(o)].item<double>() ? 1 : 0;
          if (mean < lowest) lowest = mean, best = o;
          if (o == task.answer)
            CHECK(table.prompt_tokens[i][p].item<std::int64_t>() == static_cast<std::int64_t>(from));
        }
        CHECK(table.chosen[i][m][d][p].item<std::int64_t>() == static_cast<std::int64_t>(best));
      }
    }
  }
  CHECK(differ > 20);

  const fs::path plain = setup.folder("plain", false);
  run_label_work(plain, 1);
  const OutcomeTable one = collect_label_work(plain);
  CHECK_FALSE(one.phases());
  CHECK((one.losses.select(1, 1).select(1, 0) == -1).all().item<bool>());
  for (std::int64_t m = 0; m < 2; ++m)
    CHECK(torch::equal(one.losses.select(1, m).select(1, m), table.losses.select(1, m).select(1, m)));
}

TEST_CASE("options that begin at other tokens of the prompt are each answered over their own prompt", "[label][unit]") {
  Setup setup;
  const elrt::Artifact artifact = std::move(elrt::Artifact::open(setup.file.path())).value();
  const std::vector<ScoredTokens> options = {{{1, 4, 7, 9, 12, 20, 21}, 4},
                                             {{1, 4, 7, 9, 12, 33, 40, 41}, 5},
                                             {{1, 4, 8, 9, 13, 14}, 2},
                                             {{1, 4, 7, 9, 50}, 4},  // one token: the prompt's alone
                                             {{1, 4, 7, 9, 12, 20, 22, 23}, 3}};
  elrt::Session session = std::move(elrt::Session::create(artifact, {})).value();
  const std::vector<std::int64_t> levels = {20, 50, 100};
  for (int round = 0; round < 2; ++round) {  // the second finds what the first left
    const auto found = phase_losses(session, options, levels);
    CHECK(session.level() == 100);
    for (std::size_t d = 0; d < levels.size(); ++d) {
      for (std::size_t o = 0; o < options.size(); ++o) {
        INFO("level " << levels[d] << ", option " << o);
        CHECK(found[d][o] ==
              Approx(by_hand(artifact, options[o].ids, options[o].from, 100, static_cast<std::uint32_t>(levels[d])))
                  .epsilon(1e-6));
      }
      CHECK(found[d][3] == found[2][3]);
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
  const fs::path old = setup.folder("old");  // of before there were decode levels
  std::string plan = read_bytes(old / "plan.json");
  plan.replace(plan.find("phases"), 6, "others");
  write_bytes(old / "plan.json", plan);
  expect_error(ErrorCode::kBadData, {"plan.json is damaged", "run the label stage again"},
               [&] { run_label_work(old, 1); });
}
