#include "label/policies.h"

#include <map>

#include "base/error.h"

namespace elastify {
namespace {

torch::Tensor only(const torch::Tensor& feasible, std::int64_t dim, std::int64_t index) {
  const torch::Tensor mask = torch::zeros_like(feasible);
  mask.select(dim, index).fill_(true);
  return feasible & mask;
}

bool at(const torch::Tensor& cells, DecisionIndex index) {
  return cells.accessor<bool, 2>()[index.model][index.prompt];
}

// The lightest right one; where none is right, the lightest.
Choice hindsight(const PolicyCase& one) {
  const torch::Tensor feasible = one.with.feasible[one.row], right = one.with.right[one.row];
  return best_feasible(feasible, right.to(torch::kFloat64), one.with.by_cost(one.row));
}

Choice full(const PolicyCase& one) {
  const std::int64_t m = one.without.feasible.size(1) - 1, p = one.without.feasible.size(2) - 1;
  const bool decodes = one.without.decode[one.row][m][p].item<std::int64_t>() == m;
  return decodes && at(one.without.feasible[one.row], {m, p}) ? Choice(DecisionIndex{m, p}) : std::nullopt;
}

}  // namespace

Choice choose(const std::string& policy, const PolicyCase& one) {
  const torch::Tensor with = one.with.feasible[one.row], without = one.without.feasible[one.row];
  const std::int64_t m = with.size(0) - 1, p = with.size(1) - 1;
  if (policy == "oracle") return hindsight(one);
  if (policy == "tlm" || policy == "head") {
    if (one.with.full[one.row].item<bool>()) return DecisionIndex{m, p};
    return policy == "tlm" ? choose(one.rule, one.model_logits, one.prompt_logits, with)
                           : top_feasible(one.model_logits, one.prompt_logits, with);
  }
  if (policy == "single") return at(without, one.single) ? one.single : best_feasible(without, one.prior, one.order);
  if (policy == "model_only") return best_feasible(only(without, 1, p), one.prior, one.order);
  if (policy == "prompt_only") return best_feasible(only(without, 0, m), one.prior, one.order);
  require(policy == "full", "policy {} has no one choice", policy);
  return full(one);
}

std::vector<DecisionIndex> single_decisions(const OutcomeTable& table, const torch::Tensor& validation,
                                            const SloView& view, const SloView& all) {
  std::vector<torch::Tensor> sums(table.families.size(),
                                  torch::zeros({view.right.size(1), view.right.size(2)}, torch::kFloat64));
  std::vector<std::vector<DecisionIndex>> order(table.families.size());
  for (std::int64_t i = 0; i < validation.numel(); ++i) {
    const auto family = static_cast<std::size_t>(table.family[validation[i].item<std::int64_t>()].item<std::int64_t>());
    sums[family] = sums[family] + (view.right[i] & view.feasible[i]).to(torch::kFloat64);
    if (order[family].empty()) order[family] = view.by_cost(i);
  }
  std::vector<DecisionIndex> chosen;
  for (std::size_t f = 0; f < sums.size(); ++f) {
    if (order[f].empty()) order[f] = all.by_cost(0);
    chosen.push_back(*best_feasible(torch::ones_like(sums[f], torch::kBool), sums[f], order[f]));
  }
  return chosen;
}

std::string policy_name(const std::string& policy) {
  static const std::map<std::string, std::string> names = {{"oracle", "hindsight"},
                                                           {"tlm", "as served"},
                                                           {"head", "decision-head alone"},
                                                           {"single", "best single decision by family"},
                                                           {"model_only", "levels alone"},
                                                           {"prompt_only", "prompt levels alone"},
                                                           {"random", "random feasible decision"},
                                                           {"full", "full model"}};
  const auto found = names.find(policy);
  return found == names.end() ? policy : found->second;
}

}  // namespace elastify
