// elastify while anything that can fail fails; builds then go on to the bytes of an undisturbed one.
#include <map>
#include <nlohmann/json.hpp>

#include "faults/faults.h"

namespace {

using elastify_test::FaultOutcome;
using elastify_test::Outcome;
using elastify_test::read_bytes;
using elastify_test::run_command;
using elastify_test::sweep;
using elastify_test::TempDir;
using elastify_test::write_bytes;
using nlohmann::json;
namespace fs = std::filesystem;

// Threads are left to base_test.cpp: pthreadpool, which LibTorch brings along, waits without end for one that did not
// start.
constexpr const char* kSystemKinds[] = {"read", "write", "map", "sync", "rename", "open", "shrink"};

json model_shape() {
  return {{"model_type", "llama"},       {"vocab_size", 260},
          {"hidden_size", 16},           {"intermediate_size", 16},
          {"num_hidden_layers", 2},      {"num_attention_heads", 4},
          {"num_key_value_heads", 2},    {"max_position_embeddings", 64},
          {"rms_norm_eps", 1e-5},        {"hidden_act", "silu"},
          {"tie_word_embeddings", true}, {"torch_dtype", "float32"}};
}

Outcome run_or_fail(const std::string& arguments) {
  const Outcome outcome = run_command("elastify", arguments);
  INFO(arguments << ": " << outcome.err);
  REQUIRE(outcome.status == 0);
  return outcome;
}

// Every file of a folder by its path inside it.
std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> all;
  if (!fs::exists(folder)) return all;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) all[fs::relative(entry.path(), folder).string()] = read_bytes(entry.path());
  }
  return all;
}

}  // namespace

TEST_CASE("a checkpoint that is replaced survives what fails", "[faults]") {
  const TempDir dir;
  write_bytes(dir / "shape.json", model_shape().dump());
  const std::string out = (dir / "model").string();
  const auto arguments = [&](int seed) {
    return "--log error random " + (dir / "shape.json").string() + " --out " + out + " --seed " + std::to_string(seed);
  };
  run_or_fail(arguments(2));
  const auto second = contents(out);
  const auto prepare = [&] { run_or_fail(arguments(1)); };
  prepare();
  const auto first = contents(out);
  REQUIRE(first != second);
  for (const char* kind : {"write", "sync", "rename", "open"}) {
    sweep(
        "elastify", arguments(2), kind, 6,
        [&](const FaultOutcome& outcome) {
          // Without /proc/cpuinfo LibTorch draws its numbers by other instructions, which round otherwise.
          if (outcome.err.find("cpuinfo") != std::string::npos) return;
          const auto found = contents(out);
          CHECK((found == first || found == second));
          if (outcome.status == 0) CHECK(found == second);
        },
        prepare);
  }
}

TEST_CASE("a build that failed goes on to the bytes of an undisturbed one", "[faults]") {
  const TempDir dir;
  write_bytes(dir / "shape.json", model_shape().dump());
  const std::string model = (dir / "model").string();
  run_or_fail("random " + (dir / "shape.json").string() + " --out " + model);
  const std::string kept = model + ".kept", run = (dir / "run").string();
  fs::copy(model, kept, fs::copy_options::recursive);
  const std::string arguments = "--log error build " ELASTIFY_SOURCE_DIR "/configs/smoke.json --run-dir " + run +
                                " --set checkpoint=" + model + " --set finetune.steps=2 --set reorder.levels=[50,100]";
  run_or_fail(arguments);
  const std::string right = read_bytes(run + "/model.gguf");
  const auto prepare = [&] {
    fs::remove_all(run);
    fs::remove_all(model);
    fs::copy(kept, model, fs::copy_options::recursive);
  };
  const auto check = [&](const FaultOutcome& outcome) {
    const std::string artifact = run + "/model.gguf";
    if (outcome.status == 0) {
      CHECK(read_bytes(artifact) == right);
      return;
    }
    if (fs::exists(artifact)) CHECK(read_bytes(artifact) == right);
    fs::remove_all(model);
    fs::copy(kept, model, fs::copy_options::recursive);
    run_or_fail(arguments);
    CHECK(read_bytes(artifact) == right);
  };
  for (const char* kind : kSystemKinds) sweep("elastify", arguments, kind, 3, check, prepare);
  sweep("elastify", arguments, "alloc", 6, check, prepare);
}
