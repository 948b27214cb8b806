// What a run directory promises: changed files are noticed, the resolved settings belong to the artifact, a stage that
// is asked to stop goes on later to the same bits.
#include <sys/stat.h>

#include <csignal>
#include <thread>

#include "base/interrupt.h"
#include "pipeline/stage_table.h"
#include "pipeline/text_source.h"
#include "tokenizer/import.h"
#include "unit/pipeline/support.h"

using namespace elastify;
using namespace elastify_test;

namespace {

json build(const Workplace& place, const std::vector<std::string>& settings = {}) {
  return Pipeline(place.config(settings), place.run()).build();
}
json stage(const Workplace& place, const std::string& name, const std::vector<std::string>& settings = {}) {
  return Pipeline(place.config(settings), place.run(), name).run();
}

// One byte, its length and time of modification as before.
void change_byte(const fs::path& path) {
  std::string bytes = read_bytes(path);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  const auto time = fs::last_write_time(path);
  write_bytes(path, bytes);
  fs::last_write_time(path, time);
}

}  // namespace

TEST_CASE("a changed intermediate file is refused by the stage that reads it and made again by a build",
          "[pipeline][unit]") {
  const Workplace place;
  build(place);
  const fs::path run = place.run();
  const std::string artifact = read_bytes(run / "model.gguf");
  // What is changed, whose it is, and a stage that reads it.
  const std::vector<std::array<std::string, 3>> cases = {{"reordered/model.safetensors", "reorder", "pack"},
                                                         {"plan.json", "reorder", "pack"},
                                                         {"profile.h5", "profile", "reorder"},
                                                         {"anchors.json", "anchors", "reorder"},
                                                         {"sampled.safetensors", "sample", "profile"},
                                                         {"finetune.json", "finetune", "pack"}};
  for (const auto& [file, owner, reader] : cases) {
    INFO(file);
    change_byte(run / file);
    expect_error(ErrorCode::kBadData, {"is not what stage", owner.c_str(), "elastify build"},
                 [&, reader = reader] { stage(place, reader); });
    CHECK(read_bytes(run / "model.gguf") == artifact);
    for (const auto& summary : build(place).at("stages")) {
      if (summary.at("stage") == owner) CHECK(summary.at("up_to_date") == false);
    }
    CHECK(read_bytes(run / "model.gguf") == artifact);
  }
}

TEST_CASE("config.resolved.json stands for the artifact that it made", "[pipeline][unit]") {
  const Workplace place;
  const fs::path resolved = fs::path(place.run()) / "config.resolved.json";
  stage(place, "sample");
  CHECK_FALSE(fs::exists(resolved));
  build(place);
  CHECK(read_json(resolved).at("pack").at("dtype") == "f32");
  // Another setting, stopped by a refusal or by a stage that fails: the old artifact keeps its description.
  CHECK_THROWS_AS(build(place, {"pack.dtype=f16", "reorder.levels=[35]"}), Error);
  CHECK(read_json(resolved).at("pack").at("dtype") == "f32");
  stage(place, "profile", {"profile.method=magnitude"});
  CHECK(read_json(resolved).at("profile").at("method") == "fisher");
  stage(place, "profile");
  // A stage alone that replaces the artifact describes it where the other stages fit, else nobody does.
  stage(place, "pack", {"pack.dtype=f16"});
  CHECK(read_json(resolved).at("pack").at("dtype") == "f16");
  stage(place, "pack", {"pack.dtype=f32", "finetune.steps=7"});
  CHECK_FALSE(fs::exists(resolved));
  const json record = read_json(fs::path(place.run()) / ".stages/pack.json");
  CHECK(record.at("settings").at("pack").at("dtype") == "f32");
}

TEST_CASE("a stage that is asked to stop goes on later to the same bits", "[pipeline][unit]") {
  const Workplace whole, stopped;
  build(whole);
  struct sigaction nothing {
  }, before{};
  nothing.sa_handler = [](int) {};
  ::sigaction(SIGTERM, &nothing, &before);
  for (const std::string name : {"sample", "profile", "anchors", "finetune"}) {
    INFO(name);
    std::thread sender([&] {
      while (!fs::exists(fs::path(stopped.run()) / ".stages" / (name + ".work"))) std::this_thread::yield();
      ::kill(::getpid(), SIGTERM);
    });
    try {
      build(stopped);
      CHECK(name == "not stopped");
    } catch (const Interrupted& error) {
      CHECK(error.signal() == SIGTERM);
      CHECK_THAT(std::string(error.what()), Catch::Matchers::Contains("stopped by SIGTERM in stage " + name));
      CHECK_THAT(std::string(error.what()), Catch::Matchers::Contains("the same command goes on from here"));
    }
    sender.join();
    CHECK_FALSE(fs::exists(fs::path(stopped.run()) / "config.resolved.json"));
  }
  ::sigaction(SIGTERM, &before, nullptr);
  build(stopped);
  CHECK(read_bytes(fs::path(stopped.run()) / "model.gguf") == read_bytes(fs::path(whole.run()) / "model.gguf"));
  CHECK(read_bytes(fs::path(stopped.run()) / "profile.h5") == read_bytes(fs::path(whole.run()) / "profile.h5"));
}

TEST_CASE("a measured plan needs no anchors, leaves its cuts and goes on after a stop", "[pipeline][unit]") {
  const Workplace place;
  const std::vector<std::string> settings = {"reorder.kind=measured", "reorder.measured.tokens=256",
                                             "reorder.measured.neuron_block=12"};
  const auto outcome = build(place, settings);
  for (const auto& summary : outcome.at("stages")) CHECK(summary.at("stage") != "anchors");
  const fs::path run = place.run();
  const json cuts = read_json(run / "plan_cuts.json");
  CHECK(cuts.at("tokens").get<std::int64_t>() > 200);
  CHECK(cuts.at("levels").size() == 4);
  const std::string plan = read_bytes(run / "plan.json"), artifact = read_bytes(run / "model.gguf");
  fs::remove(run / "plan.json");
  fs::remove(run / "plan_cuts.json");
  build(place, settings);
  CHECK(read_bytes(run / "plan.json") == plan);
  CHECK(read_json(run / "plan_cuts.json") == cuts);
  CHECK(read_bytes(run / "model.gguf") == artifact);
  build(place);  // by importance again
  CHECK_FALSE(fs::exists(run / "plan_cuts.json"));
  expect_error(ErrorCode::kBadData, {"calibration tokens", "data.calibration"}, [&] {
    build(place, {"reorder.kind=measured", "reorder.measured.tokens=1000000"});
  });
}

TEST_CASE("anchors judged at a level are some of the costliest layers", "[pipeline][unit]") {
  const Workplace place;
  const std::vector<std::string> settings = {"reorder.anchors_judged_at=50", "reorder.measured.tokens=256",
                                             "anchors.count=3", "pack.adapters=false"};
  build(place, settings);
  const fs::path run = place.run();
  const AnchorsResult all = load_anchors(run / "anchors.json", 4);
  const auto kept = read_json(run / "plan.json").at("anchors").get<std::vector<std::int64_t>>();
  CHECK(kept == choose_anchors(all.loss_increase, static_cast<std::int64_t>(kept.size())));
}

TEST_CASE("units that stay in the checkpoint's order are planned as sorted ones are", "[pipeline][unit]") {
  const Workplace place;
  const Checkpoint checkpoint = Checkpoint::open((place.dir / "model").string());
  const fs::path run = place.run();
  const std::string gate = "model.layers.1.mlp.gate_proj.weight";
  for (const char* kind : {"even", "global"}) {
    INFO(kind);
    const std::vector<std::string> sorted = {std::string("reorder.kind=") + kind};
    build(place, sorted);
    CHECK_FALSE(torch::equal(Checkpoint::open((run / "reordered").string()).tensor(gate), checkpoint.tensor(gate)));
    const std::string plan = read_bytes(run / "plan.json"), artifact = read_bytes(run / "model.gguf");

    const json unsorted = build(place, {sorted[0], "reorder.order=checkpoint"});
    const Checkpoint kept = Checkpoint::open((run / "reordered").string());
    for (const auto& tensor : expected_tensors(checkpoint.config())) {
      INFO(tensor.name);
      CHECK(torch::equal(kept.tensor(tensor.name), checkpoint.tensor(tensor.name)));
    }
    CHECK(read_bytes(run / "plan.json") == plan);
    CHECK(read_bytes(run / "model.gguf") != artifact);
    for (const auto& summary : unsorted.at("stages")) {
      const auto name = summary.at("stage").get<std::string>();
      CHECK(summary.at("up_to_date") == (name == "sample" || name == "profile" || name == "anchors"));
      if (name == "reorder") CHECK(summary.at("logit_difference") == 0.0);
    }
  }
  const std::vector<std::string> measured = {"reorder.kind=measured", "reorder.measured.tokens=256",
                                             "reorder.measured.neuron_block=12", "pack.adapters=false"};
  const auto cuts_of = [&](const std::vector<std::string>& settings) {
    build(place, settings);
    return read_json(run / "plan_cuts.json");
  };
  const json sorted = cuts_of(measured);
  std::vector<std::string> settings = measured;
  settings.push_back("reorder.order=checkpoint");
  const json unsorted = cuts_of(settings);
  // The whole model is the same one, what its cuts cost is not. (float32 sums in another order.)
  CHECK(unsorted.at("base_loss").get<double>() == Approx(sorted.at("base_loss").get<double>()).epsilon(1e-6));
  CHECK(unsorted.at("cuts") != sorted.at("cuts"));
}

TEST_CASE("every stage says what it did, and what memory it used", "[pipeline][unit]") {
  const Workplace place;
  const json summaries = build(place).at("stages");
  CHECK(summaries.size() == 6);
  for (const auto& summary : summaries) {
    const Stage& entry = find_stage(summary.at("stage").get<std::string>());
    INFO(entry.name);
    const std::string text = entry.describe(summary);
    CHECK(text.size() > 20);
    CHECK(text.back() == '\n');
    const auto used = summary.at("memory").at("used_bytes").get<double>();
    CHECK(used > 1e6);
    if (summary.at("memory").contains("stated_bytes"))
      CHECK(summary.at("memory").at("stated_bytes").get<double>() == Approx(used).epsilon(0.25));
    else
      CHECK(std::string(entry.name) != "profile");
    CHECK_FALSE(summary.contains("time_ratio"));
    CHECK_FALSE(summary.contains("full_step_seconds"));
  }
  CHECK_THAT(find_stage("profile").describe(summaries.at(1)), Catch::Matchers::Contains("rank correlation"));
}

TEST_CASE("the table of stages is whole", "[pipeline][unit]") {
  const Workplace place;
  const PipelineConfig config = place.config();
  std::vector<std::string> names;
  for (const Stage& stage : stage_table()) {
    INFO(stage.name);
    names.push_back(stage.name);
    CHECK_FALSE(stage.outputs.empty());
    CHECK(std::string(stage.help).find("->") != std::string::npos);
    CHECK(stage.work(config, small_shape()) > 0);
    // What a stage reads, an earlier one wrote.
    for (const auto& earlier : stage.inputs(config).stages)
      CHECK(std::find(names.begin(), names.end(), earlier) != names.end());
  }
}

TEST_CASE("the tokenizer of a model in GGUF stays with a run without the model", "[pipeline][unit]") {
  const TempDir dir;
  const fs::path gguf = fs::path(ELASTIFY_SOURCE_DIR) / "tests/golden/gguf/tokenizer_qwen2.gguf";
  keep_tokenizer(gguf, dir.path());
  CHECK(import_tokenizer(dir.path()) == import_tokenizer(gguf));
  CHECK(tokenizer_files(dir.path()) == std::vector<fs::path>{dir / kTokenizerGguf});
  CHECK(tokenizer_files(gguf) == std::vector<fs::path>{gguf});
}
