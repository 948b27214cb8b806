// JSON lines of tasks: what users write, and what comes back.
#include "data/item.h"

#include "bank_copy.h"
#include "support/expect_error.h"
#include "tasks/generator.h"

namespace {

using namespace elastify;
using elastify_test::expect_error;
using elastify_test::TempDir;

std::vector<TaskItem> read_text(const std::string& text) {
  const TempDir dir;
  elastify_test::write_bytes(dir / "mine.jsonl", text);
  return read_tasks(dir / "mine.jsonl");
}

const std::string kGood = R"({"question": "Who?", "options": ["Leo", "Maya"], "answer": 1})";

}  // namespace

TEST_CASE("question, options and answer are enough", "[tasks][unit]") {
  const auto items = read_text(
      "\xef\xbb\xbf" + kGood + "\r\n\n" +
      R"({"id": "x", "family": "f", "slo": [0.5, 1], "context": "Zoë.", "question": "Q", "options": ["a", "b"], "answer": 0, "mine": 3})" +
      "\n");
  REQUIRE(items.size() == 2);
  CHECK(items[0].id == "mine.jsonl:1");
  CHECK(items[0].family == "tasks");
  CHECK(items[0].slo == std::array<double, 2>{1, 1});
  CHECK(items[0].answer == 1);
  CHECK(task_prompt(items[0]) == "Who?\nA:");
  CHECK(items[1].id == "x");
  CHECK(items[1].slo[0] == 0.5);
  CHECK(task_prompt(items[1]) == "Zoë.\nQ\nA:");
}

TEST_CASE("a broken line is named with its number", "[tasks][unit]") {
  const auto second = [](const std::string& line) { return [line] { read_text(kGood + "\n\n" + line + "\n"); }; };
  using elastify::ErrorCode;
  expect_error(ErrorCode::kBadData, {"mine.jsonl line 3", "not valid JSON"}, second("{\"question\": "));
  expect_error(ErrorCode::kBadData, {"mine.jsonl line 3", "expected an object, found array"}, second("[1]"));
  expect_error(ErrorCode::kBadData, {"line 3", "question is missing"},
               second(R"({"options": ["a", "b"], "answer": 0})"));
  expect_error(ErrorCode::kBadData, {"line 3", "question: expected a text, found 7"},
               second(R"({"question": 7, "options": ["a", "b"], "answer": 0})"));
  expect_error(ErrorCode::kBadData, {"line 3", "options is missing"}, second(R"({"question": "Q", "answer": 0})"));
  expect_error(ErrorCode::kBadData, {"line 3", "options: expected a text, found 2"},
               second(R"({"question": "Q", "options": ["a", 2], "answer": 0})"));
  expect_error(ErrorCode::kBadData, {"line 3", "options: expected at least two, found 0"},
               second(R"({"question": "Q", "options": [], "answer": 0})"));
  expect_error(ErrorCode::kBadData, {"line 3", "options 0 and 2 have equal text: \"a  b\""},
               second(R"({"question": "Q", "options": ["a b", "c", "a  b"], "answer": 0})"));
  expect_error(ErrorCode::kBadData, {"line 3", "option 1 is empty"},
               second(R"({"question": "Q", "options": ["a", " "], "answer": 0})"));
  expect_error(ErrorCode::kBadData, {"line 3", "answer is missing"},
               second(R"({"question": "Q", "options": ["a", "b"]})"));
  expect_error(ErrorCode::kBadData, {"line 3", "answer: expected the index of an option, 0 to 1, found 2"},
               second(R"({"question": "Q", "options": ["a", "b"], "answer": 2})"));
  expect_error(ErrorCode::kBadData, {"line 3", "answer: expected a whole number from 0, found -1"},
               second(R"({"question": "Q", "options": ["a", "b"], "answer": -1})"));
  expect_error(ErrorCode::kBadData, {"line 3", "answer: expected a whole number from 0, found \"b\""},
               second(R"({"question": "Q", "options": ["a", "b"], "answer": "b"})"));
  expect_error(ErrorCode::kBadData, {"line 3 is not UTF-8", "0xff"}, second("{\"question\": \"\xff\"}"));
  expect_error(ErrorCode::kBadData, {"line 3", "slo"},
               second(R"({"question": "Q", "options": ["a", "b"], "answer": 0, "slo": [1]})"));
  expect_error(ErrorCode::kBadData, {"line 3 facts[0]: relation is missing"},
               second(R"({"question": "Q", "options": ["a", "b"], "answer": 0, "facts": [{}]})"));
  expect_error(
      ErrorCode::kBadData, {"line 3 query given.who: slot is missing"},
      second(
          R"({"question": "Q", "options": ["a", "b"], "answer": 0, "query": {"relation": "r", "answer": "{x}", "given": {"who": {"relation": "r"}}}})"));
  expect_error(ErrorCode::kBadData, {"holds no task"}, [] { read_text("\n \n"); });
}

TEST_CASE("options that differ in case are different", "[tasks][unit]") {
  CHECK(read_text(R"({"question": "Q", "options": ["polish", "Polish"], "answer": 0})").size() == 1);
}

TEST_CASE("a generated item comes back from its line unchanged", "[tasks][unit]") {
  const TaskGenerator generator(load_task_bank(elastify_test::golden_bank()));
  int two_hops = 0;
  for (std::uint64_t i = 0; i < 40; ++i) {
    const auto context = generator.generate(Split::kTest, "notes", 3, i);
    const std::string line = format_task(context.items[0]);
    const TaskItem back = parse_task(line, "line", "");
    CHECK(format_task(back) == line);
    CHECK(back.relevant == context.items[0].relevant);
    two_hops += back.hops == 2 ? 1 : 0;
  }
  CHECK(two_hops > 5);
}
