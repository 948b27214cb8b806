// Reading and checking of banks: what a bank's author gets wrong is named, with its place.
#include "tasks/bank.h"

#include <algorithm>

#include "bank_copy.h"
#include "base/error.h"
#include "data/words.h"

namespace {

using namespace elastify;
using elastify_test::BankCopy;
using elastify_test::golden_bank;
using elastify_test::says;

void expect_problem(const BankCopy& bank, std::initializer_list<const char*> words) {
  const auto problems = bank.report().problems;
  std::string all;
  for (const auto& problem : problems) all += problem + "\n";
  INFO(all);
  CHECK(says(problems, words));
}

}  // namespace

TEST_CASE("a sound bank is read without a problem", "[tasks][unit]") {
  BankReport report;
  const TaskBank bank = read_task_bank(golden_bank(), report);
  CHECK(report.problems.empty());
  REQUIRE(bank.families.size() == 2);
  const Family& notes = bank.family("notes");
  CHECK(notes.slo[1] == 0.5);
  CHECK(!notes.lines);
  CHECK(notes.facts.low == 4);
  CHECK(notes.relations.size() == 3);
  CHECK(notes.relations[0].asks.size() == 2);
  CHECK(notes.relations[0].refer.size() == 1);
  CHECK(notes.relations[0].asks[0].answers[Split::kTest].size() == 1);
  CHECK_THROWS_AS(bank.family("nothing"), Error);
}

TEST_CASE("pools know how many values they have and whether splits differ", "[tasks][unit]") {
  const TaskBank bank = load_task_bank(golden_bank());
  const auto pool = [&](const std::string& type) {
    return *std::find_if(bank.pools.begin(), bank.pools.end(), [&](const auto& p) { return p.type == type; });
  };
  CHECK(pool("item").value_count[Split::kTrain] == 12);
  CHECK(pool("item").value_count[Split::kValidation] == 8);
  CHECK(pool("item").named);  // through thing
  CHECK(pool("time").value_count[Split::kTest] == 10);
  CHECK(!pool("time").named);
  CHECK(pool("person").named);
}

TEST_CASE("all problems of all files are reported together, one line each", "[tasks][unit]") {
  BankCopy bank;
  bank.replace("notes.json", "\"layout\": \"prose\"", "\"layout\": \"poem\", \"colour\": 1");
  bank.replace("calls.json", "[0.6, 0.8]", "[0.6, 2]");
  bank.replace("pools/values.json", "\"{colour} {thing}\"", "\"{colour} {thong}\"");
  const auto problems = bank.report().problems;
  CHECK(says(problems, {"notes.json layout: expected prose or lines, found \"poem\""}));
  CHECK(says(problems, {"notes.json colour: unknown key"}));
  CHECK(says(problems, {"calls.json slo: expected [TTFT, TPOT]"}));
  CHECK(says(problems, {"pools/values.json item.all[0]: unknown {thong}"}));
  try {
    load_task_bank(bank.path());
    FAIL("no error was thrown");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kBadData);
    const std::string text = error.what();
    CHECK(std::count(text.begin(), text.end(), '\n') == static_cast<std::ptrdiff_t>(problems.size()));
    for (const auto& problem : problems) CHECK_THAT(text, Catch::Matchers::Contains(problem));
  }
}

TEST_CASE("wrong templates are named with their place", "[tasks][unit]") {
  expect_problem(BankCopy().replace("notes.json", "{who} brings the {item}.", "{whom} brings the {item}."),
                 {"notes.json relations[0:brings].statements.train[0]: unknown {whom}"});
  expect_problem(BankCopy().replace("notes.json", "{who} brings the {item}.", "{who} brings it."),
                 {"relations[0:brings].statements.train[0]", "every slot", "{item} is missing"});
  expect_problem(BankCopy().replace("notes.json", "Who brings the {item}?", "Who brings that?"),
                 {"asks[0].questions.train[0]", "{item} is missing"});
  expect_problem(BankCopy().replace("notes.json", "Who brings the {item}?", "Does {who} bring the {item}?"),
                 {"asks[0].questions.train[0]", "{who} is too many"});
  expect_problem(BankCopy().replace("notes.json", "{\"all\": [\"{who}\"]}", "{\"all\": [\"somebody\"]}"),
                 {"asks[0].answers.all[0]", "{who} is missing"});
  expect_problem(BankCopy().replace("calls.json", "set_alarm(time={time})", "set_alarm({user}, time={time})"),
                 {"asks[0].answers.all[0]", "{user}"});
  expect_problem(BankCopy().replace("notes.json", "the one who brings the {item}", "the one who brings {who}"),
                 {"refer.who.train[0]", "refers to"});
  expect_problem(BankCopy().replace("notes.json", "the one who brings the {item}", "the one"),
                 {"refer.who.train[0]", "at least one other slot"});
  expect_problem(BankCopy().replace("notes.json", "{who} brings the {item}.", "{who brings the {item}."),
                 {"statements.train[0]: unbalanced braces"});
  expect_problem(BankCopy().replace("notes.json", "{who} brings the {item}.", "{who}  brings the {item}."),
                 {"statements.train[0]", "doubled space"});
  expect_problem(BankCopy().replace("notes.json", "Notes of {day}.", "Notes of {month}."),
                 {"notes.json openings.train[0]: unknown {month}"});
}

TEST_CASE("missing parts and wrong names are named", "[tasks][unit]") {
  expect_problem(BankCopy().replace("notes.json", "\"validation\": [\"What was said on {day}.\"],", ""),
                 {"notes.json openings: validation is missing"});
  expect_problem(BankCopy().replace("notes.json", "[\"What was said on {day}.\"]", "[]"),
                 {"notes.json openings.validation: expected at least one"});
  expect_problem(BankCopy().replace("notes.json", "\"who\": \"person\"", "\"who\": \"persons\""),
                 {"relations[0:brings].slots.who: no pool has the type persons"});
  expect_problem(BankCopy().replace("notes.json", "\"answer_slots\": [\"who\"]", "\"answer_slots\": [\"whom\"]"),
                 {"asks[0].answer_slots[0]: the relation has no slot whom"});
  expect_problem(BankCopy().replace("notes.json", "\"given\": [\"item\"]", "\"given\": [\"item\", \"who\"]"),
                 {"asks[0].given: {who} is asked for and given"});
  expect_problem(BankCopy().replace("notes.json", "\"name\": \"lives\"", "\"name\": \"brings\""),
                 {"relations[1:brings]: another relation has the same name"});
  expect_problem(BankCopy().replace("notes.json", "\"family\": \"notes\"", "\"family\": \"note\""),
                 {"notes.json family: expected the name of the file"});
  expect_problem(BankCopy().replace("notes.json", "\"facts\": [4, 8]", "\"facts\": [8, 4]"),
                 {"notes.json facts: expected [least, most]"});
  expect_problem(BankCopy().replace("notes.json", "\"statements\"", "\"sentences\""),
                 {"relations[0:brings]: statements is missing"});
}

TEST_CASE("a template in two splits is a problem, whatever its case and its slots' names", "[tasks][unit]") {
  expect_problem(BankCopy().replace("notes.json", "It is in {street} that {who} lives.", "{who} LIVES in {street}."),
                 {"statements.test[0]", "also stands in another split", "statements.train[0]"});
  // "person" is the type of who: the same words in another list.
  expect_problem(BankCopy().replace("notes.json", "On {day} it was long for {person}.", "{person} lives in {street}."),
                 {"filler.test[0]", "statements.train[0]"});
  CHECK(BankCopy().report().problems.empty());  // answers may repeat, and do
}

TEST_CASE("values must not be shared between splits, words should not", "[tasks][unit]") {
  expect_problem(BankCopy().replace("pools/values.json", "\"Quinn\"", "\"ada\""),
                 {"pools person: the value \"ada\" stands in train and test"});
  BankCopy bank;
  CHECK(!says(bank.report().warnings, {"the word", "of several splits"}));  // "street" is listed as generic
  bank.replace("pools/values.json", "\"Hill Street\"", "\"Elm Hill\"");
  CHECK(says(bank.report().warnings, {"the word elm", "several splits", "Elm Street", "Elm Hill"}));
  CHECK(says(bank.report().warnings, {"notes.json", "the word she stands in no training text"}));
}

TEST_CASE("broken pools are problems", "[tasks][unit]") {
  BankCopy twice;
  elastify_test::write_bytes(twice / "pools/more.json", R"({"day": {"all": ["Sunday"]}})");
  expect_problem(twice, {"pools/values.json day: the type is defined twice"});
  expect_problem(BankCopy().replace("pools/values.json", "\"{hour}:00\"", "\"{time}:00\""),
                 {"the type time contains itself"});
  expect_problem(BankCopy().replace("pools/values.json", "\"all\": [\"{hour}:00\"", "\"train\": [\"{hour}:00\""),
                 {"time: validation is missing"});
  expect_problem(
      BankCopy().replace("pools/values.json", "[\"Kim\", \"Lea\", \"Max\", \"Nia\", \"Otto\", \"Pia\"]", "[\"Kim\"]"),
      {"relations[0:brings].asks[0]: at least 2 options", "validation"});
  BankCopy empty;
  std::filesystem::remove_all(empty / "pools");
  expect_problem(empty, {"expected files with pools"});
}

TEST_CASE("files that are not JSON, not UTF-8 or hold a key twice are problems with their line", "[tasks][unit]") {
  expect_problem(BankCopy().replace("notes.json", "\"slo\": [1.0, 0.5],", "\"slo\": [1.0, 0.5]"),
                 {"notes.json line 5 is not valid JSON"});
  expect_problem(BankCopy().replace("notes.json", "Notes of", "Notes\xff of"), {"notes.json line 9 is not UTF-8"});
  expect_problem(BankCopy().replace("notes.json", "\"layout\"", "\"slo\": [1, 1], \"layout\""),
                 {"notes.json: key \"slo\" stands twice"});
  CHECK_THROWS_AS(load_task_bank(golden_bank() / "nowhere"), Error);
}

TEST_CASE("the shipped bank has no problem", "[tasks][unit]") {
  const auto shipped = std::filesystem::path(ELASTIFY_SOURCE_DIR) / "datasets/tasks";
  BankReport report;
  const TaskBank bank = read_task_bank(shipped, report);
  for (const auto& problem : report.problems) UNSCOPED_INFO(problem);
  CHECK(report.problems.empty());
  CHECK(!says(report.warnings, {"several splits"}));
  CHECK(bank.families.size() == 6);
}

TEST_CASE("text is compared by whole words without regard to case", "[tasks][unit]") {
  CHECK(holds_words("Ada brings it", "ada"));
  CHECK(!holds_words("Adam brings it", "ada"));
  CHECK(holds_words("at 7:00.", "7:00"));
  CHECK(!holds_words("at 17:00", "7:00"));
  CHECK(holds_words("17:00 or 7:00", "7:00"));
  CHECK(!holds_words("Zoës", "Zoë"));
  CHECK(!holds_words("anything", ""));
  CHECK(fold_text("  A \n b ") == "a b");
  CHECK(words_of("Ada's 2 don'ts, Zoë!") == std::vector<std::string>{"ada's", "2", "don'ts", "zoë"});
}
