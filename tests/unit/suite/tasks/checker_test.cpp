// The checker refuses what it should: a sound item by hand, then one thing wrong at a time.
#include "tasks/checker.h"

#include <functional>

#include "bank_copy.h"
#include "tasks/shortcuts.h"

namespace {

using namespace elastify;

//                          0         1         2         3         4         5
//                          0123456789012345678901234567890123456789012345678901234567
const std::string kContext = "Zoë brings the cake. Leo lives in Hill Road. Zoë lives in Oak Road.";

TaskItem two_hops() {
  TaskItem item;
  item.id = "hand";
  item.context = kContext;
  item.question = "Where does the one who brings the cake live?";
  item.options = {"Hill Road", "Oak Road"};
  item.option_values = {{"Hill Road"}, {"Oak Road"}};
  item.answer = 1;
  item.hops = 2;
  item.fact_count = 3;
  item.facts = {{"brings", {{"who", "Zoë"}, {"item", "cake"}}, {0, 21}},
                {"lives", {{"who", "Leo"}, {"road", "Hill Road"}}, {22, 45}},
                {"lives", {{"who", "Zoë"}, {"road", "Oak Road"}}, {46, 69}}};
  item.relevant = {{0, 21}, {46, 69}};
  item.query = TaskQuery{"lives", {}, {{"who", {"brings", "who", {{"item", "cake"}}}}}, "{road}"};
  return item;
}

void expect_problem(const std::string& words, const std::function<void(TaskItem&)>& spoil) {
  TaskItem item = two_hops();
  spoil(item);
  const auto problems = check_task(item);
  INFO(words);
  CHECK(elastify_test::says(problems, {words.c_str()}));
}

}  // namespace

TEST_CASE("a sound item has no problem", "[tasks][unit]") {
  CHECK(kContext.size() == 69);
  CHECK(check_task(two_hops()).empty());
}

TEST_CASE("each check of the checker fails where it should", "[tasks][unit]") {
  expect_problem("no query", [](TaskItem& item) { item.query.reset(); });
  expect_problem("is not one of 2 options", [](TaskItem& item) { item.answer = 2; });
  expect_problem("fact_count is 4", [](TaskItem& item) { item.fact_count = 4; });
  expect_problem("lies outside the context", [](TaskItem& item) { item.facts[2].span.end = 70; });
  expect_problem("lies outside the context", [](TaskItem& item) { item.facts[2].span = {46, 46}; });
  expect_problem("cuts a character", [](TaskItem& item) { item.facts[0].span.begin = 3; });
  expect_problem("does not hold item tart", [](TaskItem& item) { item.facts[0].slots["item"] = "tart"; });
  expect_problem("the question does not name item tart",
                 [](TaskItem& item) { item.query->referred["who"].given["item"] = "tart"; });
  expect_problem("fits 0 facts", [](TaskItem& item) { item.query->referred["who"].given["item"] = "tart"; });
  expect_problem("the query fits 0 facts", [](TaskItem& item) { item.facts[2].slots["who"] = "Leo"; });
  expect_problem("the query fits 2 facts", [](TaskItem& item) { item.facts[1].slots["who"] = "Zoë"; });
  expect_problem("the reference through brings fits 2 facts",
                 [](TaskItem& item) { item.facts.push_back(item.facts[0]); });
  expect_problem("the answer is \"Oak Road\", but option 0 is \"Hill Road\"", [](TaskItem& item) { item.answer = 0; });
  expect_problem("option 1 is an answer too", [](TaskItem& item) { item.answer = 0; });
  expect_problem("option 1 equals another one", [](TaskItem& item) { item.options[0] = "oak  road"; });
  expect_problem("option_values has 1 entries", [](TaskItem& item) { item.option_values.pop_back(); });
  expect_problem("option 0 holds no value", [](TaskItem& item) { item.option_values[0].clear(); });
  expect_problem("option 0 does not hold its value Leo", [](TaskItem& item) { item.option_values[0] = {"Leo"}; });
  expect_problem("value Elm Road of option 0 does not stand in the context", [](TaskItem& item) {
    item.options[0] = "Elm Road";
    item.option_values[0] = {"Elm Road"};
  });
  expect_problem("the question holds the answer's value Oak Road",
                 [](TaskItem& item) { item.question += " Oak Road?"; });
  expect_problem("the answer names town", [](TaskItem& item) { item.query->answer = "{town}"; });
  expect_problem("relevant is not the 2 sentences", [](TaskItem& item) { item.relevant = {{0, 21}, {22, 45}}; });
  expect_problem("relevant is not the 2 sentences", [](TaskItem& item) { item.relevant.pop_back(); });
  expect_problem("hops is 1", [](TaskItem& item) { item.hops = 1; });
}

TEST_CASE("a shortcut's chance is shared among equals", "[tasks][unit]") {
  TaskItem item;
  item.context = "red red blue. one green day.";
  item.question = "what day is it, one?";
  item.options = {"red", "blue", "green", "white"};
  item.answer = 1;
  CHECK(shortcut_chances(item).overlap == Approx(1.0 / 3));  // white does not stand there
  CHECK(shortcut_chances(item).mentions == 0);               // red stands twice
  CHECK(shortcut_chances(item).fewest == 0);                 // white
  CHECK(shortcut_chances(item).lookup == 0);
  item.answer = 2;
  CHECK(shortcut_chances(item).lookup == 1);
  item.answer = 0;
  CHECK(shortcut_chances(item).mentions == 1);
  CHECK(shortcut_chances(item).pairs == Approx(0.25));  // no values: all alike
  item.option_values = {{"red", "green"}, {"blue"}, {"one", "day"}, {"blue", "day"}};
  CHECK(shortcut_chances(item).pairs == 0);
  item.answer = 2;
  CHECK(shortcut_chances(item).pairs == Approx(0.5));
}
