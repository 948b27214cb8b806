// Variants of a run: what they share, what they leave alone, how they go on.
#include <elrt/artifact.hpp>
#include <elrt/calibrate.hpp>

#include <csignal>
#include <thread>

#include "base/interrupt.h"
#include "base/runtime_result.h"
#include "checkpoint/safetensors.h"
#include "evaluate/variant_latency.h"
#include "label/outcome_table.h"
#include "support/skip.h"
#include "tlm/dual_head_file.h"
#include "unit/evaluate/support.h"

using namespace elastify;
using namespace elastify_test;

namespace {

using Names = std::vector<std::string>;

const Names kAllStages = {"sample",      "profile", "anchors",   "reorder", "finetune", "pack-base",
                          "train-score", "label",   "train-tlm", "compare", "pack"};

Variant make(const std::string& name, const std::vector<std::string>& overrides) { return {name, "a test", overrides}; }

Names up_to_date(const json& built) {
  Names names;
  for (const auto& summary : built.at("stages")) {
    if (summary.at("up_to_date") == true) names.push_back(summary.at("stage"));
  }
  return names;
}

Names first(std::size_t count) { return {kAllStages.begin(), kAllStages.begin() + static_cast<std::ptrdiff_t>(count)}; }

// One run for all cases that only read it; every case leaves its bytes as they are.
const TaskRun& shared_run() {
  static const auto* const made = [] {
    auto* run = new TaskRun;
    run->build("run");
    return run;
  }();
  return *made;
}
const std::map<std::string, std::string>& shared_bytes() {
  static const auto* const bytes = new std::map<std::string, std::string>(bytes_of(shared_run().dir / "run"));
  return *bytes;
}

bool same_file(const fs::path& a, const fs::path& b) { return fs::exists(a) && fs::exists(b) && fs::equivalent(a, b); }

// A folder on another file system than the run's.
struct Elsewhere {
  Elsewhere() { fs::create_directories(path, error); }
  ~Elsewhere() { fs::remove_all(path, error); }
  fs::path path = "/dev/shm/elastify-test-" + std::to_string(::getpid());
  std::error_code error;
};

}  // namespace

TEST_CASE("a variant shares what its settings leave alone and is what a build of its own would be",
          "[evaluate][unit]") {
  const TaskRun& run = shared_run();
  const auto& before = shared_bytes();
  const Variant variant = make("no_adapters", {"pack.adapters=false"});
  const json built = run.variant(variant);
  const fs::path folder = run.dir / "run/evaluate/no_adapters", from = run.dir / "run";
  CHECK(built.at("run_dir") == folder.string());
  CHECK(built.at("shared").get<Names>() == first(4));
  CHECK(up_to_date(built) == first(4));
  for (const char* shared : {"sampled.safetensors", "profile.h5", "anchors.json", "plan.json",
                             "reordered/model.safetensors", ".stages/reorder.json", ".stages/reorder.summary.json"}) {
    INFO(shared);
    CHECK(same_file(from / shared, folder / shared));
  }
  CHECK_FALSE(fs::exists(folder / "adapters"));
  CHECK_FALSE(same_file(from / "model.gguf", folder / "model.gguf"));
  for (const auto& level : take(elrt::Artifact::open(folder / "model.gguf")).levels()) CHECK(level.adapter_bytes == 0);

  run.build("alone", variant.overrides);
  for (const char* file : {"model.gguf", "base.gguf", "labels.h5", "comparison.json"})
    CHECK(read_bytes(folder / file) == read_bytes(run.dir / "alone" / file));

  const json again = run.variant(variant);
  Names all = kAllStages;
  std::erase(all, "finetune");
  CHECK(again.at("shared").get<Names>() == all);
  CHECK(up_to_date(again) == all);
  CHECK(changed(before, from) == Names{});
}

TEST_CASE("no stage that runs again in a variant writes through its links", "[evaluate][unit]") {
  const TaskRun& run = shared_run();
  const auto& before = shared_bytes();
  const fs::path folder = run.dir / "run/evaluate/all", from = run.dir / "run";
  CHECK(run.variant(make("all", {})).at("shared").get<Names>() == kAllStages);
  CHECK(same_file(from / "model.gguf", folder / "model.gguf"));
  CHECK(same_file(from / "adapters/shared/metrics.jsonl", folder / "adapters/shared/metrics.jsonl"));
  CHECK(same_file(from / "tlm/model.safetensors", folder / "tlm/model.safetensors"));
  const json built = run.variant(make("all", {"seed=2"}));
  CHECK(up_to_date(built).empty());
  CHECK(read_bytes(folder / "model.gguf") != read_bytes(from / "model.gguf"));
  CHECK(changed(before, from) == Names{});
  // And back: what the run has is taken over once more.
  CHECK(run.variant(make("all", {})).at("shared").get<Names>() == kAllStages);
  CHECK(same_file(from / "labels.h5", folder / "labels.h5"));
  CHECK(changed(before, from) == Names{});
}

TEST_CASE("random words change the labels, not the score-head, and are those of the comparison", "[evaluate][unit]") {
  const TaskRun& run = shared_run();
  const auto& before = shared_bytes();
  const json built = run.variant(make("no_score_head", {"label.ranking=random"}));
  CHECK(built.at("shared").get<Names>() == first(7));
  CHECK(up_to_date(built) == first(7));
  const fs::path folder = run.dir / "run/evaluate/no_score_head", from = run.dir / "run";
  CHECK(read_bytes(folder / "labels.h5") != read_bytes(from / "labels.h5"));
  const OutcomeTable random = load_outcomes(folder / "labels.h5"), usual = load_outcomes(from / "labels.h5");
  CHECK(torch::equal(random.task, usual.task));
  CHECK(torch::equal(random.prompt_words, usual.prompt_words));
  // Whole prompts are the same ones.
  CHECK(torch::equal(random.losses.select(3, 1), usual.losses.select(3, 1)));
  CHECK_FALSE(torch::equal(random.losses.select(3, 0), usual.losses.select(3, 0)));
  // Each comparison asks the full model about what the other one's labels hold.
  const json ours = read_json(folder / "comparison.json").at("compression"),
             theirs = read_json(from / "comparison.json").at("compression");
  CHECK(ours.at("random words") == theirs.at("random words"));
  CHECK(ours.at("score-head") == theirs.at("score-head"));
  CHECK(changed(before, from) == Names{});
}

TEST_CASE("a variant that was stopped goes on to the same bits", "[evaluate][unit]") {
  const TaskRun run;
  run.build("run");
  const auto before = bytes_of(run.dir / "run");
  const Variant variant = make("stopped", {"label.ranking=random"});
  const fs::path folder = run.dir / "run/evaluate/stopped";
  struct sigaction nothing {
  }, old{};
  nothing.sa_handler = [](int) {};
  ::sigaction(SIGTERM, &nothing, &old);
  for (const std::string name : {"label", "train-tlm"}) {
    INFO(name);
    std::thread sender([&] {
      while (!fs::exists(folder / ".stages" / (name + ".work"))) std::this_thread::yield();
      ::kill(::getpid(), SIGTERM);
    });
    CHECK_THROWS_AS(run.variant(variant), Interrupted);
    sender.join();
    CHECK_FALSE(fs::exists(folder / "model.gguf"));
  }
  ::sigaction(SIGTERM, &old, nullptr);
  // What a kill may leave while stages are taken over: outputs without their record, and half of them.
  fs::remove(folder / ".stages/reorder.json");
  fs::remove(folder / ".stages/finetune.json");
  fs::remove_all(folder / "adapters");
  fs::create_directories(folder / "adapters.partial/level_20");
  fs::create_hard_link(run.dir / "run/plan.json", folder / "plan.json.partial");
  const json built = run.variant(variant);
  CHECK(built.at("shared").get<Names>() == first(8));  // its own labels were done
  CHECK_FALSE(fs::exists(folder / "adapters.partial"));
  CHECK_FALSE(fs::exists(folder / "plan.json.partial"));
  run.build("alone", variant.overrides);
  CHECK(read_bytes(folder / "model.gguf") == read_bytes(run.dir / "alone/model.gguf"));
  CHECK(read_bytes(folder / "labels.h5") == read_bytes(run.dir / "alone/labels.h5"));
  CHECK(changed(before, run.dir / "run") == Names{});
}

TEST_CASE("what a run's record does not vouch for is made again in the variant", "[evaluate][unit]") {
  const TaskRun run;
  run.build("run", {"label.train=[]"});
  const fs::path from = run.dir / "run", folder = from / "evaluate/one";
  const std::string artifact = read_bytes(from / "model.gguf");
  std::string plan = read_bytes(from / "plan.json");
  plan[plan.find("20")] = '1';
  write_bytes(from / "plan.json", plan);
  const json built = run.variant(make("one", {}), {"label.train=[]"});
  CHECK(built.at("shared").get<Names>() == first(3));
  // finetune reads what the reorder stage made: the run's own before it was damaged.
  CHECK(read_bytes(folder / "model.gguf") == artifact);
  CHECK(read_bytes(from / "plan.json") == plan);
}

TEST_CASE("stages are copied where the file system refuses links", "[evaluate][unit]") {
  const Elsewhere elsewhere;
  const TaskRun run;
  write_bytes(run.dir / "probe", "x");
  std::error_code refused;
  fs::create_hard_link(run.dir / "probe", elsewhere.path / "probe", refused);
  if (elsewhere.error || !refused) return skip_case("needs a second file system, /dev/shm");
  run.build("run", {"label.train=[]"});
  fs::create_directory_symlink(elsewhere.path, run.dir / "run/evaluate");
  const json built = run.variant(make("one", {}), {"label.train=[]"});
  CHECK(built.at("shared").get<Names>() == Names{"sample", "profile", "anchors", "reorder", "finetune", "pack"});
  for (const char* file : {"model.gguf", "reordered/model.safetensors", "profile.h5"}) {
    INFO(file);
    CHECK_FALSE(same_file(run.dir / "run" / file, elsewhere.path / "one" / file));
    CHECK(read_bytes(run.dir / "run" / file) == read_bytes(elsewhere.path / "one" / file));
  }
}

TEST_CASE("a run with a measured table gives its variants tables of their own, measured once", "[evaluate][unit]") {
  const TaskRun run;
  run.build("run");
  const elrt::Artifact artifact = take(elrt::Artifact::open(run.dir / "run/model.gguf"));
  elrt::CalibrateOptions options;
  options.threads = options.repeats = 1;
  options.lengths = {4, 32, 96};
  REQUIRE(take(elrt::calibrate(artifact, options)).write(run.dir / "table.json").ok());
  const std::vector<std::string> measured = {"tlm.latency_table=" + (run.dir / "table.json").string()};
  run.build("run", measured);
  const auto before = bytes_of(run.dir / "run");

  // Levels that the run's own table lacks.
  const Variant variant = make("steps_of_5", {"reorder.levels=[20,35,50,80,100]"});
  const json built = run.variant(variant, measured);
  CHECK(built.at("shared").get<Names>() == first(3));
  CHECK(up_to_date(built) == first(3));
  const fs::path folder = run.dir / "run/evaluate/steps_of_5", table_path = folder / "base.gguf.latency.json";
  const elrt::LatencyTable table = take(elrt::LatencyTable::read(table_path));
  CHECK(table.check(take(elrt::Artifact::open(folder / "base.gguf")), 1, elrt::KvType::kF32).ok());
  CHECK(table.data().tokens == options.lengths);
  CHECK(table.data().repeats == 1);
  const elrt::LatencyTable trained_for = take(elrt::LatencyTable::read(folder / "latency.json"));
  REQUIRE(trained_for.data().levels.size() == 5);
  CHECK(trained_for.data().levels[1].level == 35);
  CHECK(trained_for.data().levels[1].ttft_ms == table.data().levels[1].ttft_ms);
  CHECK(trained_for.data().tlm.decision_ms.size() == 3);

  const std::string kept = read_bytes(table_path);
  CHECK(up_to_date(run.variant(variant, measured)) == kAllStages);
  CHECK(read_bytes(table_path) == kept);
  // A table of other bytes is measured again.
  write_bytes(table_path, "{}");
  run.variant(variant, measured);
  CHECK(take(elrt::LatencyTable::read(table_path)).data().tokens == options.lengths);
  CHECK(changed(before, run.dir / "run") == Names{});

  // Where the language model and the tiny one's shape are the run's own, so is the table.
  const json shares = run.variant(make("no_score_head", {"label.ranking=random"}), measured);
  CHECK(shares.at("shared").get<Names>() == first(7));
  CHECK_FALSE(fs::exists(run.dir / "run/evaluate/no_score_head/base.gguf.latency.json"));
  CHECK(read_bytes(run.dir / "run/evaluate/no_score_head/latency.json") == before.at("latency.json"));

  // A synthetic one is not measured for.
  const std::vector<std::string> synthetic = {"tlm.latency_table=" + (run.dir / "synthetic.json").string()};
  fs::copy_file(shared_run().dir / "run/latency.json", run.dir / "synthetic.json");
  CHECK_FALSE(variant_latency(run.config(synthetic), folder / "base.gguf"));
  CHECK_FALSE(variant_latency(run.config(), folder / "base.gguf"));
}

TEST_CASE("the small tiny language model is built from nothing and in place of the shipped one", "[evaluate][unit]") {
  const TaskRun& run = shared_run();
  const std::vector<std::string> shipped = {"tlm.body=" ELASTIFY_SOURCE_DIR "/datasets/models/assist-tlm"};
  for (const auto& body : {std::vector<std::string>{}, shipped}) {
    Variant variant = find_variant(variant_table(run.config(body)), "small_tlm");
    variant.name += body.empty() ? "" : "_of_shipped";
    const json built = run.variant(variant, body);
    CHECK(built.at("shared").get<Names>() == first(6));
    const DualHead small =
        read_dual_head(run.dir / "run/evaluate" / variant.name / "tlm", torch::kCPU, torch::kFloat32);
    CHECK(small.body.num_layers == 2);
    CHECK(small.bottom.size() == 1);
    CHECK(small.score_layers.size() == 1);
    CHECK(small.decision_layers.size() == 1);
    if (!body.empty()) CHECK(small.body.vocab_size == 2048);
  }
  CHECK(changed(shared_bytes(), run.dir / "run") == Names{});
}

TEST_CASE("a variant of no run, or of settings that no build takes, is refused and leaves nothing",
          "[evaluate][unit]") {
  const TaskRun& run = shared_run();
  expect_error(ErrorCode::kUsage, {"no run directory", "elastify build"},
               [&] { run.variant(make("one", {}), {}, "nowhere"); });
  CHECK_FALSE(fs::exists(run.dir / "nowhere"));
  expect_error(ErrorCode::kUsage, {"reorder.levels"}, [&] { run.variant(make("refused", {"reorder.levels=[35]"})); });
  CHECK_FALSE(fs::exists(run.dir / "run/evaluate/refused"));
}
