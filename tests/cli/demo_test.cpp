// The shipped model, and the demo's path on a much smaller configuration.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "cli/run_command.h"

namespace {

using elastify_test::Outcome;
using elastify_test::run_command;
using elastify_test::TempDir;
using nlohmann::json;

const std::string kSource = ELASTIFY_SOURCE_DIR;

Outcome must_run(const std::string& program, const std::string& arguments) {
  Outcome outcome = run_command(program, arguments, "cd " + kSource + " &&");
  INFO(program << " " << arguments << "\n" << outcome.err);
  REQUIRE(outcome.status == 0);
  return outcome;
}

std::string label_settings(const std::string& tasks) {
  std::string text =
      " --set label.model_levels='[20,100]' --set label.prompt_levels='[20,100]' --set label.train_items=4 --set "
      "label.validation_items=2 --set label.test_items=2 --set tlm.word_items=2";
  for (const char* split : {"train", "validation", "test"})
    text += std::string(" --set label.") + split + "='[\"" + tasks + "/" + split + ".jsonl\"]'";
  for (const char* phase : {"masked", "joint", "score", "decision"})
    text += std::string(" --set tlm.") + phase + ".steps=10";
  return text;
}

// Every stage of configs/demo.json, with few tokens and three levels.
std::string small_build(const std::string& run, const std::string& tasks) {
  return "build configs/demo.json --run-dir " + run + " --set data.recovery='[\"" + tasks +
         "/recovery.jsonl\"]' --set data.calibration='[\"" + tasks + "/train.jsonl\"]' --set data.held_out='[\"" +
         tasks +
         "/validation.jsonl\"]' --set reorder.levels='[20,50,100]' --set profile.tokens=4096 --set "
         "profile.check_units=0 --set anchors.tokens=2048"
         " --set finetune.levels='[20,50]' --set finetune.steps=4 --set finetune.batch_rows=4 --set "
         "finetune.held_out_tokens=2048 --set finetune.eval_every=2" +
         label_settings(tasks);
}

}  // namespace

TEST_CASE("the shipped model goes through the whole pipeline and writes answers", "[cli][slow]") {
  const TempDir dir;
  const std::string tasks = (dir / "tasks").string(), run = (dir / "run").string();
  must_run("elastify-suite",
           "tasks --out " + tasks + " --train 40 --questions 4 --recovery 40 --validation 6 --test 40");
  must_run("elastify", small_build(run, tasks));
  CHECK(json::parse(must_run("elastify", "inspect " + run + "/model.gguf --verify --json").out).at("verified") == true);

  const json result = json::parse(must_run("elastify", "eval " + run + "/model.gguf --tasks " + tasks +
                                                           "/test.jsonl --levels 20,100 --show 1 --json")
                                      .out);
  CHECK(result.at("items") == 240);
  CHECK(result.at("examples").size() == 6);
  const json& full = result.at("levels").at(1);
  CHECK(full.at("level") == 100);
  // The model's README states 56 % of answers written right; three standard deviations of 240 answers are 9.6 points.
  CHECK(full.at("mean_exact_match").get<double>() >= 0.46);
  for (const auto& family : full.at("families")) CHECK(family.at("chance").get<double>() == Approx(0.25).margin(0.03));
}
