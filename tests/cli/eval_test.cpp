// elastify eval on a tiny artifact: fields, streams, exit statuses.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "cli/run_command.h"
#include "unit/runtime/tiny_tokenizer.h"

using elastify_test::Outcome;
using elastify_test::run_command;
using elastify_test::TempDir;
using elastify_test::TemporaryFile;
using elastify_test::write_bytes;
using nlohmann::json;

namespace {

const std::string kTasks =
    R"({"context": "ab c", "question": "a?", "options": ["b", "c"], "answer": 1, "family": "x"})"
    "\n"
    R"({"context": "c", "question": "b?", "options": ["ab", "c", "a"], "answer": 0, "family": "x"})"
    "\n"
    R"({"question": "c?", "options": ["ab", "c"], "answer": 0})"
    "\n";

struct Setup {
  TempDir dir;
  TemporaryFile model{elastify_test::tiny_artifact_with_tokenizer().build()};
  Setup() { write_bytes(dir / "t.jsonl", kTasks); }
  Outcome eval(const std::string& arguments) const {
    return run_command("elastify", "eval " + model.path().string() + " " + arguments);
  }
  std::string tasks() const { return "--tasks " + (dir / "t.jsonl").string() + " "; }
  void fails(const std::string& arguments, int status, std::initializer_list<const char*> words) const {
    const Outcome outcome = eval(arguments);
    INFO(arguments << ": " << outcome.err);
    CHECK(outcome.status == status);
    CHECK(outcome.out.empty());
    for (const char* word : words) CHECK_THAT(outcome.err, Catch::Matchers::Contains(word));
  }
};

}  // namespace

TEST_CASE("eval prints the contract's fields", "[cli]") {
  const Setup setup;
  const Outcome outcome =
      setup.eval(setup.tasks() + "--levels 20,100 --few-shot 1 --limit 2 --generate --threads 2 --json");
  INFO(outcome.err);
  // The family "tasks" has one item, so none to show it with.
  CHECK(outcome.status == 2);
  const Outcome plain = setup.eval(setup.tasks() + "--levels 20,100 --limit 2 --generate --threads 2 --json");
  INFO(plain.err);
  REQUIRE(plain.status == 0);
  const json result = json::parse(plain.out);
  REQUIRE(result.at("levels").size() == 2);
  const json& level = result.at("levels")[0];
  CHECK(level.at("level") == 20);
  CHECK(level.at("mean_accuracy").is_number());
  CHECK(level.at("families").size() == 2);
  const json& family = level.at("families").at("x");
  CHECK(family.at("n") == 2);
  CHECK(family.at("chance").get<double>() == Approx((1.0 / 2 + 1.0 / 3) / 2));
  CHECK(family.at("ci95").size() == 2);
  for (const char* field : {"accuracy", "loss", "exact_match"}) CHECK(family.at(field).is_number());
  for (const char* field : {"accuracy", "loss", "exact_match", "ci95", "n", "chance"})
    CHECK(family.at("without_adapter").contains(field));
}

TEST_CASE("eval prints a table, warnings apart from it", "[cli]") {
  const Setup setup;
  write_bytes(setup.dir / "long.jsonl", R"({"context": ")" + std::string(300, 'c') +
                                            R"(", "question": "a?", "options": ["b", "c"], "answer": 1})");
  const Outcome outcome =
      setup.eval("--tasks " + (setup.dir / "long.jsonl").string() + " " + setup.tasks() + "--levels 100");
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  for (const char* word : {"4 tasks", "level 100", "family", "mean of families"})
    CHECK_THAT(outcome.out, Catch::Matchers::Contains(word));
  CHECK_THAT(outcome.err, Catch::Matchers::Contains("1 of 4 prompts exceed the context of 64 tokens"));
  CHECK(outcome.out.find("exceed") == std::string::npos);
}

TEST_CASE("eval still measures text", "[cli]") {
  const Setup setup;
  write_bytes(setup.dir / "text.txt", "ab c ab c, a b c");
  const Outcome outcome = setup.eval("--text " + (setup.dir / "text.txt").string() + " --levels 50 --threads 1 --json");
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  CHECK(json::parse(outcome.out).at("levels")[0].at("loss").is_number());
}

TEST_CASE("eval refuses wrong arguments with 2 and bad files with 3", "[cli]") {
  const Setup setup;
  setup.fails("", 2, {"--text or --tasks"});
  setup.fails(setup.tasks() + "--text x.txt", 2, {"excludes"});
  setup.fails("--text x.txt --few-shot 1", 2, {"requires --tasks"});
  setup.fails(setup.tasks() + "--limit-tokens 5", 2, {"requires --text"});
  setup.fails(setup.tasks() + "--context some", 2, {"some", "shuffled"});
  setup.fails(setup.tasks() + "--limit -1", 2, {"--limit"});
  setup.fails(setup.tasks() + "--levels 33", 2, {"33", "20"});
  setup.fails("--tasks /nonexistent.jsonl", 3, {"/nonexistent.jsonl"});
  write_bytes(setup.dir / "bad.jsonl", kTasks + R"({"question": "c?", "options": ["a", "c"], "answer": 2})");
  setup.fails("--tasks " + (setup.dir / "bad.jsonl").string(), 3, {"bad.jsonl line 4", "0 to 1"});
  write_bytes(setup.dir / "empty.jsonl", "");
  setup.fails("--tasks " + (setup.dir / "empty.jsonl").string(), 3, {"empty.jsonl is empty"});
}
