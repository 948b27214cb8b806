// Scoring on losses that are given, not computed.
#include "eval/task_score.h"

#include <catch2/catch.hpp>

#include <map>

using elastify::FamilyTally;
using elastify::run_task;
using elastify::TaskItem;
using elastify::TaskTokens;

namespace {

// Losses by an option's own tokens; the answer by the prompt's last token.
class GivenModel : public elastify::TaskModel {
 public:
  std::map<std::vector<std::int32_t>, std::vector<double>> table;
  std::map<std::int32_t, std::string> answers;
  std::vector<double> losses(std::span<const std::int32_t> ids, std::size_t from) override {
    const auto own = ids.subspan(from);
    return table.at({own.begin(), own.end()});
  }
  std::string answer(std::span<const std::int32_t> prompt, std::size_t) override { return answers.at(prompt.back()); }
};

TaskItem item(std::size_t options, std::size_t answer) {
  TaskItem made;
  made.options.assign(options, "wrong");
  made.options[answer] = "Right one.";
  made.answer = answer;
  return made;
}

}  // namespace

TEST_CASE("options are compared by loss per token of their own, the first of equals wins", "[eval][unit]") {
  GivenModel model;
  model.table = {{{5}, {2.0}}, {{6, 7, 8}, {1.5, 2.5, 0.5}}, {{9, 9}, {1.5, 1.5}}, {{4}, {1.75}}};
  TaskTokens tokens;
  tokens.options = {{{1, 2, 5}, 2}, {{1, 2, 6, 7, 8}, 2}, {{1, 9, 9}, 1}, {{1, 4}, 1}};
  const auto outcome = run_task(model, tokens, 0, false);
  CHECK(outcome.chosen == 1);  // means 2, 1.5, 1.5, 1.75; sums 2, 4.5, 3, 1.75
  CHECK(outcome.right_loss == 2.0);
  CHECK(outcome.right_tokens == 1);
  CHECK_FALSE(outcome.written);
  CHECK(run_task(model, tokens, 1, false).right_loss == 4.5);
  CHECK(run_task(model, tokens, 1, false).right_tokens == 3);
}

TEST_CASE("answers are written only where asked for and possible", "[eval][unit]") {
  GivenModel model;
  model.table = {{{5}, {2.0}}};
  model.answers = {{2, "text"}};
  TaskTokens tokens;
  tokens.options = {{{1, 2, 5}, 2}};
  CHECK_FALSE(run_task(model, tokens, 0, true).written);
  tokens.prompt = {1, 2};
  CHECK(run_task(model, tokens, 0, true).written == "text");
  CHECK_FALSE(run_task(model, tokens, 0, false).written);
}

TEST_CASE("a family's figures are those worked by hand", "[eval][unit]") {
  FamilyTally tally;
  tally.add(item(2, 0), {0, 3.0, 2, "right ONE"});
  tally.add(item(4, 3), {3, 1.0, 1, "left one"});
  tally.add(item(4, 1), {2, 8.0, 3, std::nullopt});
  const auto json = tally.to_json();
  CHECK(json.at("accuracy").get<double>() == Approx(2.0 / 3));
  CHECK(json.at("n") == 3);
  CHECK(json.at("chance").get<double>() == Approx((0.5 + 0.25 + 0.25) / 3));
  CHECK(json.at("loss").get<double>() == Approx(12.0 / 6));
  CHECK(json.at("exact_match").get<double>() == Approx(0.5));
  // Wilson, 2 of 3: (2/3 + 0.640243) / 2.280486 -+ 1.959964 / 2.280486 * sqrt(2/27 + 0.106707).
  CHECK(json.at("ci95")[0].get<double>() == Approx(0.2077).margin(1e-4));
  CHECK(json.at("ci95")[1].get<double>() == Approx(0.9385).margin(1e-4));
  CHECK(json.at("exact_match_ci95")[0].get<double>() == Approx(0.0945).margin(1e-4));  // 1 of 2
  CHECK_FALSE(FamilyTally().exact_match());
}
