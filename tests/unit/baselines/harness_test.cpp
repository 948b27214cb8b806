// The whole harness on a tiny random checkpoint.
#include "baselines/harness.h"

#include <stdexcept>

#include "baselines/kept_json.h"
#include "support/small_shape.h"
#include "support/temp_dir.h"

#undef CHECK  // of LibTorch's logging; Catch2 has its own
#include "support/expect_error.h"

using namespace elastify;
using namespace elastify_test;

namespace {

struct Workplace {
  Workplace() {
    fs::create_directories(dir / "model");
    write_random_checkpoint(small_shape(), 1, dir / "model");
    write_bytes(dir / "text.txt", "The quick brown fox jumps over the lazy dog, again and again, until it is dark.");
    write_bytes(dir / "tasks.jsonl",
                R"({"question": "Who?", "options": ["Leo", "Maya"], "answer": 1})"
                "\n"
                R"({"question": "Where is it?", "options": ["here", "there", "nowhere"], "answer": 0})"
                "\n");
  }
  PipelineConfig config(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), "checkpoint=" + (dir / "model").string());
    more.push_back("threads=1");
    more.push_back("finetune.checkpoint_seconds=0");
    return load_pipeline_config(ELASTIFY_SOURCE_DIR "/configs/smoke.json", more);
  }
  BaselinesRequest request() const {
    BaselinesRequest made;
    made.methods = {"ours", "flap", "shortgpt", "contextual", "scratch"};
    made.levels = {50};
    made.texts = {"fox=" + (dir / "text.txt").string()};
    made.prompt_tokens = 8;
    made.repeats = 1;
    return made;
  }
  fs::path run(const std::string& name = "run") const { return dir / name; }
  TempDir dir;
};

const json& result_of(const json& document, const std::string& method) {
  for (const json& result : document.at("results")) {
    if (result.at("method") == method) return result;
  }
  throw std::runtime_error("no result of " + method);
}

}  // namespace

TEST_CASE("every method ends with losses, latency and equal data", "[baselines][unit]") {
  const Workplace place;
  BaselinesRequest request = place.request();
  request.methods.clear();
  request.tasks = {(place.dir / "tasks.jsonl").string()};
  const json document = run_baselines(place.config(), place.run(), request);
  REQUIRE(document["results"].size() == 12);
  for (const json& result : document["results"]) {
    INFO(result.dump(2));
    if (result.contains("infeasible")) continue;
    CHECK(result["block_ratio"].get<double>() == Approx(0.5).margin(0.08));
    CHECK(result["data"]["texts"].size() == 1);
    CHECK(result["tasks"]["mean_accuracy"].is_number());
    const std::string method = result["method"];
    CHECK(result.contains("loss_before") == (method != "scratch"));
    CHECK(result.contains("loss_after") == (method != "contextual"));
    CHECK(result["latency"]["source"] == (method == "contextual" ? "counted" : "measured"));
    if (method == "contextual") continue;
    CHECK(result["training_tokens"] == 6 * 4 * 32);
    CHECK(result["data"]["train_rows"] == result_of(document, "ours")["data"]["train_rows"]);
  }
  CHECK(result_of(document, "attndrop").contains("infeasible"));
  CHECK(document["comparison"].size() == 6);
  CHECK(fs::exists(place.run() / "baselines" / "baselines.json"));
  CHECK_FALSE(fs::exists(place.run() / "baselines" / "level.gguf"));
}

TEST_CASE("a repeated run reads what is there, more methods add to it", "[baselines][unit]") {
  const Workplace place;
  BaselinesRequest request = place.request();
  request.methods = {"shortgpt"};
  run_baselines(place.config(), place.run(), request);
  const fs::path file = place.run() / "baselines" / "shortgpt" / "level_50" / "after.json";
  json changed = read_json(file);
  changed["loss_after"]["fox"] = 1.25;  // would be lost if it were computed again
  write_json(file, changed);
  request.methods = {"shortgpt", "early-exit"};
  const json more = run_baselines(place.config(), place.run(), request);
  CHECK(result_of(more, "shortgpt")["loss_after"]["fox"] == 1.25);
  // Another seed is another key.
  const json other = run_baselines(place.config({"seed=2"}), place.run(), request);
  CHECK(result_of(other, "shortgpt")["loss_after"]["fox"] != 1.25);
}

TEST_CASE("a result made from other rows is refused", "[baselines][unit]") {
  const Workplace place;
  BaselinesRequest request = place.request();
  request.methods = {"shortgpt", "early-exit"};
  run_baselines(place.config(), place.run(), request);
  const fs::path file = place.run() / "baselines" / "early-exit" / "level_50" / "after.json";
  json changed = read_json(file);
  changed["data"]["train_rows"] = "0123";
  write_json(file, changed);
  expect_error(ErrorCode::kBadData, {"early-exit", "train_rows", "0123"},
               [&] { run_baselines(place.config(), place.run(), request); });
}

TEST_CASE("a stopped run goes on to the same results", "[baselines][unit]") {
  const Workplace place;
  const json expected = run_baselines(place.config(), place.run("whole"), place.request());
  // A process that dies after every piece of work.
  BaselinesRequest request = place.request();
  request.after_piece = [](const std::string& piece) { throw std::runtime_error(piece); };
  std::vector<std::string> pieces;
  json found;
  while (found.is_null()) {
    REQUIRE(pieces.size() < 20);
    try {
      found = run_baselines(place.config(), place.run("parts"), request);
    } catch (const std::runtime_error& stopped) {
      pieces.emplace_back(stopped.what());
    }
  }
  CHECK(pieces.size() == 9);  // five before recovery, four of recovery
  for (const char* method : {"ours", "flap", "shortgpt", "scratch"}) {
    INFO(method);
    CHECK(result_of(found, method)["loss_after"] == result_of(expected, method)["loss_after"]);
  }
}

TEST_CASE("requests that cannot be met are refused before anything runs", "[baselines][unit]") {
  const Workplace place;
  BaselinesRequest request = place.request();
  request.levels = {40};
  expect_error(ErrorCode::kUsage, {"--levels", "40", "20, 50, 80"},
               [&] { run_baselines(place.config(), place.run(), request); });
  request.methods = {"wanda"};
  expect_error(ErrorCode::kUsage, {"--methods", "wanda", "flap"},
               [&] { run_baselines(place.config(), place.run(), request); });
  CHECK_FALSE(fs::exists(place.run()));
  request = place.request();
  request.texts = {"no-equals"};
  expect_error(ErrorCode::kUsage, {"--text", "NAME=FILE"},
               [&] { run_baselines(place.config(), place.run(), request); });
}
