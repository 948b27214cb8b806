// The suite's files: whole, reproducible, readable by read_tasks.
#include "tasks/suite.h"

#include <set>

#include "bank_copy.h"
#include "support/expect_error.h"

namespace {

using namespace elastify;
using elastify_test::TempDir;

SuiteRequest small(const TempDir& dir, std::uint64_t seed) {
  SuiteRequest request;
  request.bank = elastify_test::golden_bank();
  request.out = dir / "suite";
  request.seed = seed;
  request.items = {{20, 10, 15}};
  return request;
}

}  // namespace

TEST_CASE("a suite is the same twice and differs by its seed", "[tasks][unit]") {
  const TempDir a, b, c;
  make_suite(small(a, 1));
  make_suite(small(b, 1));
  make_suite(small(c, 2));
  for (const char* name : {"train.jsonl", "validation.jsonl", "test.jsonl"}) {
    const auto read = [&](const TempDir& dir) { return elastify_test::read_bytes(dir.path() / "suite" / name); };
    CHECK(read(a) == read(b));
    CHECK(read(a) != read(c));
  }
}

TEST_CASE("a suite's files read back and its table counts them", "[tasks][unit]") {
  const TempDir dir;
  const auto result = make_suite(small(dir, 1));
  const auto items = read_tasks(dir.path() / "suite" / "test.jsonl");
  CHECK(items.size() == 30);
  std::set<std::string> ids;
  for (const auto& item : items) ids.insert(item.id);
  CHECK(ids.size() == 30);
  CHECK(result.at("families").size() == 6);
  CHECK(result.at("shared_values") == 0);
  CHECK(result.at("shared_sentences") == 0);
  for (const auto& row : result.at("families")) {
    CHECK(row.at("chance").get<double>() >= 0.25);
    CHECK(row.at("options").get<double>() <= 4);
    CHECK(row.at("words").get<double>() > 20);
  }
  const std::string table = format_suite(result);
  CHECK_THAT(table, Catch::Matchers::Contains("calls") && Catch::Matchers::Contains("lookup") &&
                        Catch::Matchers::Contains("0 named values"));
}

TEST_CASE("recovery items are reworded and leave the other files alone", "[tasks][unit]") {
  const TempDir plain, reworded, again;
  make_suite(small(plain, 1));
  const auto with_recovery = [](const TempDir& dir) {
    SuiteRequest request = small(dir, 1);
    request.recovery = {.items = 20, .questions = 4, .rename_share = 1, .word_noise = 1};
    make_suite(request);
    return dir.path() / "suite" / "recovery.jsonl";
  };
  const auto path = with_recovery(reworded);
  CHECK(elastify_test::read_bytes(path) == elastify_test::read_bytes(with_recovery(again)));
  CHECK(!std::filesystem::exists(plain.path() / "suite" / "recovery.jsonl"));
  for (const char* name : {"train.jsonl", "validation.jsonl", "test.jsonl"}) {
    CHECK(elastify_test::read_bytes(plain.path() / "suite" / name) ==
          elastify_test::read_bytes(reworded.path() / "suite" / name));
  }

  std::set<std::string> training_questions, contexts;
  for (const auto& item : read_tasks(plain.path() / "suite" / "train.jsonl")) training_questions.insert(item.question);
  const auto items = read_tasks(path);
  REQUIRE(items.size() == 40);
  std::size_t known = 0;
  for (const auto& item : items) {
    CHECK((item.facts.empty() && !item.query && item.relevant.empty()));  // they no longer hold
    contexts.insert(item.context);
    known += training_questions.count(item.question);
  }
  CHECK(contexts.size() < items.size());  // several questions over one
  CHECK(known < items.size() / 4);
}

TEST_CASE("a bank with problems writes no file", "[tasks][unit]") {
  const TempDir dir;
  elastify_test::BankCopy bank;
  bank.replace("pools/values.json", "\"Quinn\"", "\"Ada\"");
  SuiteRequest request = small(dir, 1);
  request.bank = bank.path();
  CHECK_THROWS_AS(make_suite(request), Error);
  CHECK(!std::filesystem::exists(request.out));
}

TEST_CASE("shown items mark the right option", "[tasks][unit]") {
  const TaskGenerator generator(load_task_bank(elastify_test::golden_bank()));
  const std::string text = show_tasks(generator, {"calls"}, Split::kTest, 1, 2);
  CHECK_THAT(text, Catch::Matchers::Contains("--- calls-test-000001") && Catch::Matchers::Contains("\n  * ") &&
                       !Catch::Matchers::Contains("WRONG"));
  CHECK_THAT(text, !Catch::Matchers::Contains("notes"));
}
