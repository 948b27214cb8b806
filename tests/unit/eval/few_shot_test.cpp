#include "eval/few_shot.h"

#include <catch2/catch.hpp>

#include <set>

#include "support/expect_error.h"

using elastify::ErrorCode;
using elastify::EvalItem;
using elastify::FewShot;
using elastify_test::expect_error;

namespace {

EvalItem item(const std::string& id, const std::string& context, const std::string& question) {
  EvalItem made;
  made.task.id = id;
  made.task.context = context;
  made.task.question = question;
  made.task.options = {"no " + id, "yes " + id};
  made.task.answer = 1;
  return made;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("examples have the prompts' own layout and the right answer", "[eval][unit]") {
  const std::vector<EvalItem> items{item("a", "", "first?"), item("b", "c", "second?")};
  CHECK(FewShot(items, 1, 1).examples_for(items[0]) == "c\nsecond?\nA: yes b\n\n");
  CHECK(FewShot(items, 1, 1).examples_for(items[1]) == "first?\nA: yes a\n\n");
  CHECK(FewShot(items, 0, 1).examples_for(items[1]).empty());
}

TEST_CASE("examples of a schema are whole sentences", "[eval][unit]") {
  std::vector<EvalItem> items{item("a", "", ""), item("b", "", "")};
  for (auto& made : items) {
    made.leads = {"lead " + made.task.id + "0", "lead " + made.task.id + "1"};
    made.task.options = {"goes on", "goes on"};
  }
  CHECK(FewShot(items, 1, 1).examples_for(items[0]) == "lead b1 goes on\n\n");
}

TEST_CASE("neither a question nor its context stands among its examples", "[eval][unit]") {
  std::vector<EvalItem> items;
  for (int i = 0; i < 12; ++i)
    items.push_back(
        item("i" + std::to_string(i), "context" + std::to_string(i / 3) + ".", "what " + std::to_string(i % 4) + "?"));
  const FewShot shots(items, 3, 1);
  std::set<std::string> texts;
  for (const auto& asked : items) {
    const std::string text = shots.examples_for(asked);
    CHECK(count(text, "\n\n") == 3);
    CHECK(count(text, asked.task.context) == 0);
    CHECK(count(text, asked.task.question) == 0);
    CHECK(text == shots.examples_for(asked));
    texts.insert(text);
  }
  CHECK(FewShot(items, 3, 2).examples_for(items[0]) != shots.examples_for(items[0]));
}

TEST_CASE("more examples than there are is an error", "[eval][unit]") {
  std::vector<EvalItem> items{item("a", "", "1?"), item("b", "", "2?"), item("c", "", "3?")};
  items[2].task.family = "other";
  expect_error(ErrorCode::kUsage, {"--few-shot 2", "tasks", "only 1"},
               [&] { FewShot(items, 2, 1).examples_for(items[0]); });
}
