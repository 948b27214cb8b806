// elastify-suite tasks as a user runs it.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "cli/run_command.h"

namespace {

using elastify_test::run_command;
using elastify_test::TempDir;

const std::string kBank = std::string(" --bank ") + ELASTIFY_SOURCE_DIR + "/tests/golden/tasks";

}  // namespace

TEST_CASE("tasks writes three files and prints one table", "[cli]") {
  const TempDir dir;
  const auto outcome = run_command("elastify-suite", "tasks --out " + (dir / "suite").string() + kBank +
                                                         " --train 5 --validation 3 --test 4 --json");
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  const auto result = nlohmann::json::parse(outcome.out);
  CHECK(result.at("families").size() == 6);
  for (const char* name : {"train.jsonl", "validation.jsonl", "test.jsonl"})
    CHECK(!elastify_test::read_bytes(dir.path() / "suite" / name).empty());
}

TEST_CASE("tasks needs a folder or a bank without problems", "[cli]") {
  const TempDir dir;
  const auto bare = run_command("elastify-suite", "tasks" + kBank);
  CHECK(bare.status == 2);
  CHECK_THAT(bare.err, Catch::Matchers::Contains("--out DIR is missing"));
  const auto nowhere = run_command("elastify-suite", "tasks --check --bank " + (dir / "nowhere").string());
  CHECK(nowhere.status == 3);
  const auto empty = run_command("elastify-suite", "tasks --check --bank " + dir.path().string());
  CHECK(empty.status == 3);
  CHECK_THAT(empty.out, Catch::Matchers::Contains("problem: ") && Catch::Matchers::Contains("2 problems"));
  CHECK(run_command("elastify-suite", "tasks --check" + kBank).status == 0);
  CHECK(run_command("elastify-suite", "tasks --out x --train -1" + kBank).status == 2);
}
