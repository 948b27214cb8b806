// Whole commands on a random checkpoint: build, repeat, kill and resume, wrong input.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cmath>

#include "cli/run_command.h"

namespace {

using elastify_test::Outcome;
using elastify_test::read_bytes;
using elastify_test::run_command;
using elastify_test::TempDir;
using elastify_test::write_bytes;
using nlohmann::json;

const std::string kSmoke = ELASTIFY_SOURCE_DIR "/configs/smoke.json";

json model_shape() {
  return {{"model_type", "llama"},       {"vocab_size", 260},
          {"hidden_size", 32},           {"intermediate_size", 44},
          {"num_hidden_layers", 4},      {"num_attention_heads", 8},
          {"num_key_value_heads", 4},    {"max_position_embeddings", 64},
          {"rms_norm_eps", 1e-5},        {"hidden_act", "silu"},
          {"tie_word_embeddings", true}, {"torch_dtype", "float32"}};
}

// A random checkpoint in `dir`/model.
std::string make_checkpoint(const TempDir& dir) {
  write_bytes(dir / "shape.json", model_shape().dump());
  const Outcome made =
      run_command("elastify", "random " + (dir / "shape.json").string() + " --out " + (dir / "model").string());
  INFO(made.err);
  REQUIRE(made.status == 0);
  return (dir / "model").string();
}

std::string build_arguments(const TempDir& dir, const std::string& run, const std::string& more = "") {
  return "build " + kSmoke + " --run-dir " + (dir / run).string() + " --set checkpoint=" + (dir / "model").string() +
         " --json " + more;
}

void expect_failure(const Outcome& outcome, int status, std::initializer_list<const char*> words) {
  INFO(outcome.err);
  CHECK(outcome.status == status);
  for (const char* word : words) CHECK_THAT(outcome.err, Catch::Matchers::Contains(word));
}

// One built run directory for all cases that only read it.
struct Built {
  TempDir dir;
  std::string run, artifact;
  json summary;
};
const Built& built() {
  static const auto* const shared = [] {
    auto* made = new Built;
    make_checkpoint(made->dir);
    made->run = (made->dir / "run").string();
    made->artifact = made->run + "/model.gguf";
    const Outcome outcome = run_command("elastify", build_arguments(made->dir, "run"));
    INFO(outcome.err);
    REQUIRE(outcome.status == 0);
    made->summary = json::parse(outcome.out);
    return made;
  }();
  return *shared;
}

}  // namespace

TEST_CASE("build leaves one artifact with every level in it", "[cli]") {
  const Outcome inspected = run_command("elastify", "inspect " + built().artifact + " --verify --json");
  INFO(inspected.err);
  REQUIRE(inspected.status == 0);
  const json summary = json::parse(inspected.out);
  REQUIRE(summary.at("verified") == true);
  std::vector<int> levels;
  for (const auto& level : summary.at("levels")) {
    levels.push_back(level.at("level").get<int>());
    REQUIRE(std::abs(level.at("block_ratio").get<double>() - levels.back() / 100.0) < 0.06);
  }
  REQUIRE(levels == std::vector<int>{20, 50, 80, 100});
}

TEST_CASE("a second build finds everything up to date", "[cli]") {
  const std::string before = read_bytes(built().artifact);
  const Outcome again = run_command("elastify", build_arguments(built().dir, "run"));
  INFO(again.err);
  REQUIRE(again.status == 0);
  const json summary = json::parse(again.out);
  for (const auto& stage : summary.at("stages")) REQUIRE(stage.at("up_to_date") == true);
  REQUIRE(read_bytes(built().artifact) == before);
}

TEST_CASE("a changed setting runs only the stages that depend on it", "[cli]") {
  const TempDir dir;
  make_checkpoint(dir);
  REQUIRE(run_command("elastify", build_arguments(dir, "run")).status == 0);
  const Outcome changed = run_command("elastify", build_arguments(dir, "run", "--set pack.dtype=f16"));
  REQUIRE(changed.status == 0);
  const json summary = json::parse(changed.out);
  for (const auto& stage : summary.at("stages")) REQUIRE(stage.at("up_to_date") == (stage.at("stage") != "pack"));
}

TEST_CASE("every family goes through all stages and runs at every level and type", "[cli]") {
  json gemma = model_shape(), smol = model_shape(), phi = model_shape();
  gemma.update({{"model_type", "gemma3_text"}, {"head_dim", 8}, {"sliding_window", 16}});
  gemma["layer_types"] = {"sliding_attention", "full_attention", "sliding_attention", "sliding_attention"};
  smol["model_type"] = "smollm3";
  phi.update({{"model_type", "phi3"}, {"head_dim", 8}, {"partial_rotary_factor", 0.75}});
  phi.update({{"original_max_position_embeddings", 24}, {"tie_word_embeddings", false}});
  phi["rope_scaling"] = {{"type", "longrope"}, {"short_factor", {1.0, 1.1, 1.3}}, {"long_factor", {1.0, 2.0, 4.0}}};
  for (const json& shape : {gemma, smol, phi}) {
    DYNAMIC_SECTION(shape.at("model_type").get<std::string>()) {
      const TempDir dir;
      write_bytes(dir / "shape.json", shape.dump());
      std::string text;
      for (int i = 0; i < 400; ++i)
        text += "line " + std::to_string(i * 37 % 101) + (i % 7 == 6 ? "\n<|endoftext|>\n" : ", ");
      write_bytes(dir / "text.txt", text);
      REQUIRE(run_command("elastify", "random " + (dir / "shape.json").string() + " --out " + (dir / "model").string())
                  .status == 0);
      for (const char* dtype : {"f32", "q8_0", "iq4_nl"}) {
        const std::string settings = " --set 'data.recovery=[\"" + (dir / "text.txt").string() +
                                     "\"]' --set reorder.kind=measured --set reorder.measured.tokens=512";
        const Outcome made =
            run_command("elastify", build_arguments(dir, "run", std::string("--set pack.dtype=") + dtype + settings));
        INFO(made.err);
        REQUIRE(made.status == 0);
        for (const char* level : {"20", "50", "80", "100"}) {
          const Outcome scored =
              run_command("elastic-run", "score " + (dir / "run/model.gguf").string() + " --level " + level +
                                             " --text-file " + (dir / "text.txt").string() + " --json");
          INFO(scored.err);
          REQUIRE(scored.status == 0);
          CHECK(json::parse(scored.out).at("nll").get<double>() > 0);
        }
      }
    }
  }
}

TEST_CASE("a damaged output is made again", "[cli]") {
  const TempDir dir;
  make_checkpoint(dir);
  REQUIRE(run_command("elastify", build_arguments(dir, "run")).status == 0);
  const std::string whole = read_bytes(dir / "run/model.gguf");
  write_bytes(dir / "run/model.gguf", whole.substr(0, whole.size() / 2));
  REQUIRE(run_command("elastify", build_arguments(dir, "run")).status == 0);
  REQUIRE(read_bytes(dir / "run/model.gguf") == whole);
}

TEST_CASE("killed anywhere, the same command goes on to the same bits", "[cli][slow]") {
  const TempDir dir;
  make_checkpoint(dir);
  const auto started = std::chrono::steady_clock::now();
  REQUIRE(run_command("elastify", build_arguments(dir, "whole")).status == 0);
  const double whole_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  int kills = 0;
  // Each attempt lives a little longer than the one before, so that kills fall into every stage.
  for (double seconds = 0.15 * whole_seconds; seconds < 600; seconds = seconds * 1.15 + 0.02) {
    const Outcome attempt =
        run_command("elastify", build_arguments(dir, "killed"), "timeout -s KILL " + std::to_string(seconds));
    if (attempt.status == 0) break;
    INFO(attempt.err);
    REQUIRE(attempt.status == 137);
    ++kills;
  }
  REQUIRE(kills >= 3);
  REQUIRE(read_bytes(dir / "killed/model.gguf") == read_bytes(dir / "whole/model.gguf"));
  REQUIRE(read_bytes(dir / "killed/profile.h5") == read_bytes(dir / "whole/profile.h5"));
}

TEST_CASE("Ctrl-C ends a build with a word on how to go on, and the same command goes on", "[cli][slow]") {
  const TempDir dir;
  make_checkpoint(dir);
  const std::string endless =
      "--set finetune.steps=10000000 --set finetune.patience=0 --set finetune.checkpoint_seconds=1000";
  const Outcome stopped =
      run_command("elastify", build_arguments(dir, "run", endless), "timeout --preserve-status -s INT 10");
  expect_failure(stopped, 130, {"stopping at the next safe place", "stopped by Ctrl-C in stage", "the same command"});
  CHECK(stopped.out.empty());
  CHECK_FALSE(std::filesystem::exists(dir / "run/config.resolved.json"));
  const Outcome again = run_command("elastify", build_arguments(dir, "run"));
  INFO(again.err);
  REQUIRE(again.status == 0);
  CHECK_THAT(again.err, Catch::Matchers::Contains("stage 2 of 6, profile: up to date"));
  REQUIRE(read_bytes(dir / "run/model.gguf") == read_bytes(built().artifact));
}

TEST_CASE("a stage alone prints what it found", "[cli]") {
  const std::string arguments =
      kSmoke + " --run-dir " + built().run + " --set checkpoint=" + (built().dir / "model").string();
  const Outcome profile = run_command("elastify", "profile " + arguments);
  INFO(profile.err);
  REQUIRE(profile.status == 0);
  CHECK_THAT(profile.out, Catch::Matchers::Contains("up to date") && Catch::Matchers::Contains("rank correlation"));
  CHECK_THAT(run_command("elastify", "reorder " + arguments).out, Catch::Matchers::Contains("of blocks"));
  CHECK_THAT(run_command("elastify", "finetune " + arguments).out, Catch::Matchers::Contains("before"));
}

TEST_CASE("every level generates and scores text", "[cli]") {
  write_bytes(built().dir / "text.txt", std::string(300, 'a') + "b c d");
  for (const int level : {20, 50, 80, 100}) {
    const std::string at_level = built().artifact + " --level " + std::to_string(level) + " --json ";
    const Outcome generated = run_command("elastic-run", "generate " + at_level + "--prompt hello --max-tokens 5");
    INFO(generated.err);
    REQUIRE(generated.status == 0);
    REQUIRE(json::parse(generated.out).at("level") == level);
    const Outcome scored = run_command(
        "elastic-run", "score " + at_level + "--text-file " + (built().dir / "text.txt").string() + " --context 64");
    REQUIRE(scored.status == 0);
    const json score = json::parse(scored.out);
    REQUIRE(score.at("tokens") == 305);  // BOS and 305 bytes
    REQUIRE(score.at("perplexity").get<double>() == Approx(std::exp(score.at("nll").get<double>())));
  }
}

TEST_CASE("wrong configurations exit with 2 and say what to change", "[cli]") {
  const TempDir dir;
  make_checkpoint(dir);
  const auto build = [&](const std::string& more) {
    return run_command("elastify", build_arguments(dir, "run", more));
  };
  expect_failure(build("--set finetune.stepz=1 --set profile.method=guess"), 2,
                 {"2 problems", "finetune.stepz: unknown key", "profile.method"});
  expect_failure(build("--set reorder.levels=[50,20,100]"), 2, {"reorder.levels"});
  expect_failure(build("--set device=tpu"), 2, {"device 'tpu'"});
  expect_failure(build("--frobnicate"), 2, {"frobnicate"});
  expect_failure(run_command("elastify", "build missing.json --run-dir " + (dir / "run").string()), 2,
                 {"missing.json"});
  expect_failure(run_command("elastify", "build " + kSmoke + " --run-dir " + (dir / "run").string()), 2,
                 {"checkpoint is missing"});
  expect_failure(run_command("elastify", ""), 2, {"expected a command"});
  const std::string reorder =
      "reorder " + kSmoke + " --run-dir " + (dir / "fresh").string() + " --set checkpoint=" + (dir / "model").string();
  expect_failure(run_command("elastify", reorder), 2, {"profile has not run", "elastify profile"});
}

TEST_CASE("bad checkpoints and text exit with 3 and leave earlier results alone", "[cli]") {
  const TempDir dir;
  make_checkpoint(dir);
  REQUIRE(run_command("elastify", build_arguments(dir, "run")).status == 0);
  const std::string artifact = read_bytes(dir / "run/model.gguf"),
                    weights = read_bytes(dir / "model/model.safetensors");
  write_bytes(dir / "model/model.safetensors", weights.substr(0, weights.size() - 5));
  expect_failure(run_command("elastify", build_arguments(dir, "run")), 3,
                 {"model.safetensors", "truncated or damaged"});
  std::string poisoned = weights;
  for (std::size_t i = poisoned.size() - 400; i < poisoned.size(); ++i) poisoned[i] = '\xff';  // NaN in the last tensor
  write_bytes(dir / "model/model.safetensors", poisoned);
  expect_failure(run_command("elastify", build_arguments(dir, "run")), 3, {"NaN"});
  write_bytes(dir / "model/model.safetensors", weights);
  write_bytes(dir / "bad.jsonl", "{\"text\": \"a\"}\n{\n");
  expect_failure(
      run_command("elastify",
                  build_arguments(dir, "run", "--set data.recovery='[\"" + (dir / "bad.jsonl").string() + "\"]'")),
      3, {"bad.jsonl line 2"});
  expect_failure(run_command("elastify", build_arguments(dir, "run", "--set checkpoint=/nonexistent")), 3,
                 {"does not exist"});
  REQUIRE(read_bytes(dir / "run/model.gguf") == artifact);
}

TEST_CASE("a full disk is an error and leaves the earlier artifact whole", "[cli]") {
  const TempDir dir;
  make_checkpoint(dir);
  REQUIRE(run_command("elastify", build_arguments(dir, "run")).status == 0);
  const std::string artifact = read_bytes(dir / "run/model.gguf");
  // A limit on file sizes stands in for a full disk: the artifact's write fails half way.
  const Outcome limited =
      run_command("elastify", build_arguments(dir, "run", "--set pack.dtype=f16"), "trap '' XFSZ; ulimit -f 64;");
  expect_failure(limited, 1, {"cannot write", "model.gguf.partial"});
  REQUIRE(read_bytes(dir / "run/model.gguf") == artifact);
  REQUIRE_FALSE(std::filesystem::exists(dir / "run/model.gguf.partial"));
}

TEST_CASE("corrupt and foreign artifacts exit with 3", "[cli]") {
  const TempDir dir;
  const std::string whole = read_bytes(built().artifact);
  const auto both = [&](const std::string& bytes, std::initializer_list<const char*> words) {
    write_bytes(dir / "bad.gguf", bytes);
    expect_failure(run_command("elastify", "inspect " + (dir / "bad.gguf").string()), 3, words);
    expect_failure(run_command("elastic-run", "generate " + (dir / "bad.gguf").string() + " --prompt x"), 3, words);
  };
  both("", {"bad.gguf"});
  both("PK\3\4 not a model", {"bad.gguf"});
  both(whole.substr(0, 1000), {"bad.gguf"});
  both(whole.substr(0, whole.size() - 64), {"bad.gguf"});
  std::string flipped = whole;
  flipped[whole.size() - 200] ^= 1;
  write_bytes(dir / "flipped.gguf", flipped);
  expect_failure(run_command("elastify", "inspect --verify " + (dir / "flipped.gguf").string()), 3, {"checksum"});
}

TEST_CASE("impossible prompts exit with 2", "[cli]") {
  const std::string generate = "generate " + built().artifact;
  expect_failure(run_command("elastic-run", generate + " --prompt ''"), 2, {"empty"});
  expect_failure(run_command("elastic-run", generate + " --prompt " + std::string(200, 'x')), 2, {"64"});
  expect_failure(run_command("elastic-run", generate + " --prompt x --level 33"), 2, {"33", "20"});
}

TEST_CASE("two builds never share a run directory", "[cli]") {
  const TempDir dir;
  make_checkpoint(dir);
  std::filesystem::create_directories(dir / "run/.stages");
  const std::string lock = "flock " + (dir / "run/.stages/lock").string();
  expect_failure(run_command("elastify", build_arguments(dir, "run"), lock), 2, {"in use"});
}
