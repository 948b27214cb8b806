// Decisions by a rule, against plain loops and tables whose truth is known.
#include "label/choice.h"
#include "support/temp_dir.h"
#include "unit/label/support.h"

#include <cmath>

using namespace elastify;
using namespace elastify_test;

namespace {

torch::Tensor table_of(std::vector<std::vector<double>> rows) {
  std::vector<torch::Tensor> made;
  for (const auto& row : rows) made.push_back(torch::tensor(row, torch::kFloat64));
  return torch::stack(made);
}

bool falls_nowhere(const torch::Tensor& table) {
  const auto rises = [&](std::int64_t dim) { return (table.diff(1, dim) >= -1e-12).all().item<bool>(); };
  return rises(0) && rises(1);
}

// Every decision feasible under an SLO, outcomes with the chances of `accuracy`.
ChoiceTrial trial_of(const OutcomeTable& table, const torch::Tensor& model_logits, const torch::Tensor& prompt_logits) {
  const torch::Tensor rows = table.rows(TaskSplit::kValidation);
  ChoiceTrial trial{model_logits, prompt_logits, {}};
  trial.view.right = table.right_at_one_level().index_select(0, rows);
  trial.view.feasible = torch::ones_like(trial.view.right);
  trial.view.full = torch::zeros({rows.numel()}, torch::kBool);
  return trial;
}

}  // namespace

TEST_CASE("shares are smoothed, and a monotone fit is the nearest table that never falls", "[choice][unit]") {
  const auto right = torch::tensor({1, 0, 1, 1}, torch::kInt64).view({2, 1, 2}).to(torch::kBool);
  CHECK(expected_accuracy(right)[0][0].item<double>() == Approx(3.0 / 4));
  CHECK(expected_accuracy(right)[0][1].item<double>() == Approx(2.0 / 4));
  const auto fitted = fit_monotone(table_of({{0.4, 0.2}, {0.6, 0.8}}));  // by hand: only the first row falls
  CHECK(torch::allclose(fitted, table_of({{0.3, 0.3}, {0.6, 0.8}}), 0, 1e-12));
  torch::manual_seed(4);
  for (int i = 0; i < 50; ++i) {
    const torch::Tensor noisy = torch::rand({5, 7}, torch::kFloat64), fit = fit_monotone(noisy);
    CHECK(falls_nowhere(fit));
    CHECK(torch::allclose(fit_monotone(fit), fit, 0, 1e-12));
    CHECK(fit.mean().item<double>() == Approx(noisy.mean().item<double>()));
  }
}

TEST_CASE("the choice is the feasible decision of the most worth, of equals the heaviest", "[choice][unit]") {
  torch::manual_seed(8);
  for (int i = 0; i < 200; ++i) {
    const ChoiceRule rule{torch::rand({3, 4}, torch::kFloat64) * 0.8 + 0.1, i % 3 * 0.5};
    const torch::Tensor model = torch::randn({3}), prompt = torch::randn({4}), feasible = torch::rand({3, 4}) < 0.4;
    const auto chosen = choose(rule, model, prompt, feasible);
    REQUIRE(chosen.has_value() == feasible.any().item<bool>());
    if (!chosen) continue;
    const auto worth_of = [&](std::int64_t m, std::int64_t p) {
      const double a = rule.accuracy[m][p].item<double>();
      return std::log(a / (1 - a)) +
             *rule.head_weight * (static_cast<double>(model[m].item<float>()) + prompt[p].item<float>());
    };
    for (std::int64_t m = 0; m < 3; ++m) {
      for (std::int64_t p = 0; p < 4; ++p) {
        if (feasible[m][p].item<bool>()) CHECK(worth_of(m, p) <= worth_of(chosen->model, chosen->prompt) + 1e-6);
      }
    }
  }
  const ChoiceRule equal{torch::full({3, 4}, 0.5, torch::kFloat64), 0.0};
  torch::Tensor feasible = torch::ones({3, 4}, torch::kBool);
  CHECK(choose(equal, torch::zeros({3}), torch::zeros({4}), feasible) == DecisionIndex{2, 3});
  feasible[2][3] = false;
  CHECK(choose(equal, torch::zeros({3}), torch::zeros({4}), feasible) == DecisionIndex{1, 3});
}

TEST_CASE("a head that says nothing is not believed, one that knows is", "[choice][unit]") {
  OutcomeTable table = random_outcomes(300, 5);
  const torch::Tensor rows = table.rows(TaskSplit::kValidation);
  const auto nothing = trial_of(table, torch::randn({rows.numel(), 3}) * 3, torch::randn({rows.numel(), 4}) * 3);
  CHECK(fit_choice_rule(table, {nothing}).head_weight == 0.0);
  // Logits that name a right decision of every task: its model level and, among equals, its prompt level.
  torch::Tensor model = torch::zeros({rows.numel(), 3}), prompt = torch::zeros({rows.numel(), 4});
  for (std::int64_t i = 0; i < rows.numel(); ++i) {
    const torch::Tensor right = nothing.view.right[i].nonzero();
    if (right.size(0) == 0) continue;
    model[i][right[0][0]] = 5;
    prompt[i][right[0][1]] = 5;
  }
  const ChoiceRule believed = fit_choice_rule(table, {trial_of(table, model, prompt)});
  REQUIRE(believed.head_weight);
  CHECK(*believed.head_weight > 0);
  CHECK(fit_choice_rule(table, {}).head_weight == 0.0);
}

TEST_CASE("a looser objective never gets less expected accuracy from a rule without a head", "[choice][unit]") {
  torch::manual_seed(11);
  const ChoiceRule rule{torch::rand({3, 4}, torch::kFloat64), 0.0};
  for (int i = 0; i < 100; ++i) {
    const torch::Tensor strict = torch::rand({3, 4}) < 0.3, loose = strict | (torch::rand({3, 4}) < 0.3);
    const auto before = choose(rule, torch::zeros({3}), torch::zeros({4}), strict);
    if (!before) continue;
    const auto after = choose(rule, torch::zeros({3}), torch::zeros({4}), loose);
    CHECK(rule.accuracy[after->model][after->prompt].item<double>() >=
          rule.accuracy[before->model][before->prompt].item<double>());
  }
}

TEST_CASE("a rule comes back from its file", "[choice][unit]") {
  const TempDir folder;
  CHECK_FALSE(read_choice_rule(folder.path(), 2, 3));
  const ChoiceRule rule{torch::rand({2, 3}, torch::kFloat64), 0.5};
  write_choice_rule(folder.path(), rule);
  const auto read = read_choice_rule(folder.path(), 2, 3);
  REQUIRE(read);
  CHECK(torch::equal(read->accuracy, rule.accuracy));
  CHECK(read->head_weight == 0.5);
  write_choice_rule(folder.path(), {rule.accuracy, std::nullopt});
  CHECK_FALSE(read_choice_rule(folder.path(), 2, 3)->head_weight);
}
