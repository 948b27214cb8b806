#include "label/choice.h"

#include <tuple>

#include "label/decision_training.h"

namespace elastify {
namespace {

const std::vector<double> kHeadWeights = {0, 0.25, 0.5, 1, 2, 4};

std::vector<double> non_decreasing(const std::vector<double>& values) {
  std::vector<std::pair<double, std::size_t>> blocks;  // sum, count
  for (const double value : values) {
    blocks.emplace_back(value, 1);
    const auto mean = [&](std::size_t from_end) {
      const auto& block = blocks[blocks.size() - from_end];
      return block.first / static_cast<double>(block.second);
    };
    while (blocks.size() > 1 && mean(2) > mean(1)) {
      const auto last = blocks.back();
      blocks.pop_back();
      blocks.back().first += last.first;
      blocks.back().second += last.second;
    }
  }
  std::vector<double> fitted;
  for (const auto& [sum, count] : blocks) fitted.insert(fitted.end(), count, sum / static_cast<double>(count));
  return fitted;
}

torch::Tensor fit_rows(const torch::Tensor& shares) {
  torch::Tensor fitted = shares.clone().contiguous();
  for (std::int64_t row = 0; row < fitted.size(0); ++row) {
    double* values = fitted[row].data_ptr<double>();
    const auto found = non_decreasing({values, values + fitted.size(1)});
    std::copy(found.begin(), found.end(), values);
  }
  return fitted;
}

// [tasks]: right answers within the SLO, mean over the trials.
torch::Tensor scores_of(const ChoiceRule& rule, const std::vector<ChoiceTrial>& trials) {
  const DecisionIndex full{rule.accuracy.size(0) - 1, rule.accuracy.size(1) - 1};
  torch::Tensor sum = torch::zeros({trials.front().view.full.size(0)}, torch::kFloat64);
  auto total = sum.accessor<double, 1>();
  for (const ChoiceTrial& trial : trials) {
    const auto right = trial.view.right.accessor<bool, 3>();
    for (std::int64_t i = 0; i < sum.numel(); ++i) {
      auto chosen = choose(rule, trial.model_logits[i], trial.prompt_logits[i], trial.view.feasible[i]);
      if (trial.view.full[i].item<bool>()) chosen = full;
      if (chosen && right[i][chosen->model][chosen->prompt]) ++total[i];
    }
  }
  return sum / static_cast<double>(trials.size());
}

torch::Tensor shares_of(const OutcomeTable& table, const torch::Tensor& rows, bool monotone) {
  const torch::Tensor shares = expected_accuracy(table.right_at_one_level().index_select(0, rows));
  return monotone ? fit_monotone(shares) : shares;
}

}  // namespace

torch::Tensor expected_accuracy(const torch::Tensor& right) {
  return (right.to(torch::kFloat64).sum(0) + 1) / static_cast<double>(right.size(0) + 2);
}

torch::Tensor fit_monotone(const torch::Tensor& shares) { return fit_rows(fit_rows(shares.t()).t()); }

std::optional<DecisionIndex> choose(const ChoiceRule& rule, const torch::Tensor& model_logits,
                                    const torch::Tensor& prompt_logits, const torch::Tensor& feasible) {
  const torch::Tensor all = worth(rule, model_logits, prompt_logits).contiguous();
  const auto values = all.accessor<double, 2>();
  const auto allowed = feasible.accessor<bool, 2>();
  std::optional<DecisionIndex> best;
  const auto rank = [&](DecisionIndex d) { return std::tuple(values[d.model][d.prompt], d.prompt, d.model); };
  for (DecisionIndex d; d.model < all.size(0); ++d.model) {
    for (d.prompt = 0; d.prompt < all.size(1); ++d.prompt) {
      if (allowed[d.model][d.prompt] && (!best || rank(*best) < rank(d))) best = d;
    }
  }
  return best;
}

ChoiceRule fit_choice_rule(const OutcomeTable& table, const std::vector<ChoiceTrial>& trials) {
  const torch::Tensor train = table.rows(TaskSplit::kTrain),
                      known = torch::cat({train, table.rows(TaskSplit::kValidation)});
  if (trials.empty()) return {shares_of(table, known, false), 0.0};
  struct Candidate {
    double weight;
    bool monotone;
  };
  std::vector<Candidate> candidates;
  std::vector<torch::Tensor> scores;
  for (const double weight : kHeadWeights) {
    for (const bool monotone : {true, false}) {
      candidates.push_back({weight, monotone});
      scores.push_back(scores_of({shares_of(table, train, monotone), weight}, trials));
    }
  }
  const Candidate& best = candidates[choose_earliest(scores)];
  return {shares_of(table, known, best.monotone), best.weight};
}

}  // namespace elastify
