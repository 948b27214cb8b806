// elastic-run while anything that can fail fails.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "faults/faults.h"
#include "unit/runtime/tiny_tlm.h"
#include "unit/runtime/tiny_tokenizer.h"

namespace {

using elastify_test::FaultOutcome;
using elastify_test::read_bytes;
using elastify_test::run_command;
using elastify_test::sweep;
using elastify_test::TempDir;
using elastify_test::write_bytes;
using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kSystemKinds[] = {"read", "write", "map", "sync", "rename", "open", "thread", "shrink"};

// A model with a tiny language model and a latency table, in a folder of its own.
struct Model {
  TempDir dir;
  std::string file = (dir / "m.gguf").string(), table = file + ".latency.json", bytes, table_bytes;

  Model() {
    auto builder = elastify_test::tiny_artifact_with_tokenizer();
    elastify_test::add_tiny_tlm(builder);
    const auto built = builder.build();
    bytes.assign(built.begin(), built.end());
    restore();
    const auto made = run_command("elastic-run", "calibrate " + file + " --threads 2 --repeats 1");
    INFO(made.err);
    REQUIRE(made.status == 0);
    table_bytes = read_bytes(table);
    write_bytes(dir / "t.txt", "ab cab c\nabc ab\n");
  }
  void restore() const { write_bytes(file, bytes); }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()));
  }
};

const Model& model() {
  static const auto* const made = new Model;
  return *made;
}

void sweep_all(const std::string& arguments, const std::function<void(const FaultOutcome&)>& check) {
  const auto prepare = [] { model().restore(); };
  for (const char* kind : kSystemKinds) sweep("elastic-run", arguments, kind, 50, check, prepare);
  sweep("elastic-run", arguments, "alloc", 250, check, prepare);
}

}  // namespace

TEST_CASE("generate ends in one line whatever fails", "[faults]") {
  for (const std::string how : {"--level 50", "--ttft 0.5 --tpot 0.5"}) {
    const std::string arguments =
        "generate " + model().file + " --prompt 'ab cab c ab' --max-tokens 4 --ignore-eos --threads 2 --json " + how;
    sweep_all(arguments, [](const FaultOutcome& outcome) {
      if (outcome.status == 0) CHECK(json::parse(outcome.out).at("tokens").size() == 4);
    });
  }
}

TEST_CASE("score tells a read error from the end of the text", "[faults]") {
  const std::string arguments =
      "score " + model().file + " --text-file " + (model().dir / "t.txt").string() + " --threads 1 --json";
  model().restore();
  const std::string right = run_command("elastic-run", arguments).out;
  sweep_all(arguments, [&](const FaultOutcome& outcome) {
    if (outcome.status == 0) CHECK(outcome.out == right);
  });
}

TEST_CASE("calibrate leaves the old table or a whole new one", "[faults]") {
  const std::string out = (model().dir / "new.json").string();
  const std::size_t before = model().files();
  const auto prepare = [&] {
    model().restore();
    write_bytes(out, model().table_bytes);
  };
  const auto check = [&](const FaultOutcome& outcome) {
    CHECK(json::parse(read_bytes(out)).at("device") == json::parse(model().table_bytes).at("device"));
    CHECK(model().files() <= before + 1);  // nothing partial
    if (outcome.status != 0) return;
    CHECK(read_bytes(out) != model().table_bytes);
  };
  const std::string arguments = "calibrate " + model().file + " --threads 2 --repeats 1 --max-tokens 16 --out " + out;
  for (const char* kind : kSystemKinds) {
    const long count = sweep("elastic-run", arguments, kind, 50, check, prepare);
    CHECK(count > 0);
  }
  sweep("elastic-run", arguments, "alloc", 150, check, prepare);
  fs::remove(out);
}
