// The corrected bound on synthetic outcomes whose truth is known.
#include "label/luck.h"
#include "unit/label/support.h"

#include <cmath>

using namespace elastify;

namespace {

constexpr std::int64_t kTasks = 4000, kDecisions = 30;

// Each outcome drawn on its own with its decision's chance.
torch::Tensor draw(const torch::Tensor& chance, std::int64_t repeats) {
  torch::manual_seed(5);
  return torch::rand({chance.size(0), repeats, chance.size(1)}, torch::kFloat64) < chance.unsqueeze(1);
}

torch::Tensor all_feasible() { return torch::ones({kTasks, kDecisions}, torch::kBool); }
torch::Tensor no_prior() { return torch::zeros({kTasks, kDecisions}, torch::kFloat64); }

struct Means {
  double hindsight, at_most, corrected, error;
};
Means means(const BestDecision& best) {
  const MeanError corrected = mean_error(best.corrected);
  return {mean_error(best.hindsight).mean, mean_error(best.at_most).mean, corrected.mean, corrected.error};
}

}  // namespace

TEST_CASE("where every decision guesses, hindsight is nearly always right and the corrected bound is chance",
          "[luck][unit]") {
  const auto right = draw(torch::full({kTasks, kDecisions}, 0.25, torch::kFloat64), 4);
  const Means bound = means(best_decision(right, all_feasible(), no_prior()));
  CHECK(bound.hindsight == Approx(1 - std::pow(0.75, 30)).margin(0.005));
  CHECK(bound.at_most > 0.7);
  CHECK(bound.corrected == Approx(0.25).margin(4 * bound.error));
  CHECK(bound.error < 0.01);
}

TEST_CASE("a task's one good decision is found, whichever it is, and luck adds nothing", "[luck][unit]") {
  torch::Tensor chance = torch::full({kTasks, kDecisions}, 0.1, torch::kFloat64);
  for (std::int64_t t = 0; t < kTasks; ++t) chance[t][t % kDecisions] = 0.9;
  const Means bound = means(best_decision(draw(chance, 8), all_feasible(), no_prior()));
  CHECK(bound.corrected == Approx(0.9).margin(0.02));
  CHECK(bound.corrected <= 0.9 + 4 * bound.error);
  CHECK(bound.at_most >= 0.9);
  CHECK(bound.hindsight > 0.98);
}

TEST_CASE("with few repeats the truth lies between both bounds, and a prior brings the lower one nearer",
          "[luck][unit]") {
  torch::Tensor chance = torch::full({kTasks, kDecisions}, 0.3, torch::kFloat64);
  chance.select(1, 7).fill_(0.7);
  const auto right = draw(chance, 2);
  const Means blind = means(best_decision(right, all_feasible(), no_prior()));
  const Means informed = means(best_decision(right, all_feasible(), chance));
  CHECK(blind.corrected < 0.6);
  CHECK(blind.at_most > 0.7);
  CHECK(informed.corrected > blind.corrected);
  CHECK(informed.corrected <= 0.7 + 4 * informed.error);
}

TEST_CASE("by hand: equals share, what is not feasible never counts, a task without any is wrong", "[luck][unit]") {
  // One task, two repeats, three decisions.
  const auto right = torch::tensor({1, 0, 1, 1, 1, 1}, torch::kInt64).view({1, 2, 3}).to(torch::kBool);
  const auto feasible = torch::tensor({1, 1, 0}, torch::kInt64).view({1, 3}).to(torch::kBool);
  const auto none = torch::zeros({1, 3}, torch::kFloat64);
  // Chosen on the second repeat, both decisions are as good: judged on the first, half is right. Chosen on the first it
  // is decision 0, right on the second.
  const Means bound = means(best_decision(right, feasible, none));
  CHECK(bound.corrected == Approx(0.75));
  CHECK(bound.at_most == Approx(1));
  CHECK(bound.hindsight == Approx(1));
  const Means nothing = means(best_decision(right, torch::zeros_like(feasible), none));
  CHECK(nothing.corrected == 0);
  CHECK(nothing.at_most == 0);
  CHECK(nothing.hindsight == 0);
}

TEST_CASE("mean and standard error by hand", "[luck][unit]") {
  const auto difference = torch::tensor({1.0, 0.0, 0.0, 1.0}, torch::kFloat64);
  CHECK(mean_error(difference).mean == Approx(0.5));
  CHECK(mean_error(difference).error == Approx(std::sqrt(1.0 / 3) / 2));
  CHECK(mean_error(torch::zeros({0})).mean == 0);
}
