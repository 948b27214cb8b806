// How decisions are chosen once the decision-head has spoken: by what is expected of each.
//
// A decision's worth is   log(a / (1 - a)) + w (model logit + prompt logit),
// a being the share of right answers that the decision had on tasks like these (whatever the prompt: its prior) and w
// how much the head is believed. With w = 0 every prompt gets the feasible decision that is right most often. Of equals
// the larger prompt level, then the larger model level is taken: an idle budget answers nobody. With w = 0 the worth
// does not depend on the objective, so that a looser one, which makes more feasible, can only add worth.
// The runtime does the same from the same numbers (elrt::Service).
#pragma once

#include <optional>

#include "base/files.h"
#include "base/torch.h"

namespace elastify {

struct ChoiceRule {
  torch::Tensor accuracy;             // [M, P] float64, shares; NaN: unknown
  std::optional<double> head_weight;  // nothing: the head's logits alone
};

// [M, P] float64 of one prompt's logits, [M] and [P].
torch::Tensor worth(const ChoiceRule& rule, const torch::Tensor& model_logits, const torch::Tensor& prompt_logits);

// accuracy.json in a trained model's folder: {"accuracy": [[share of right answers, or null, per prompt level] per
// model level], "head_weight": number}. read: nothing where the folder has none; throws Error(kBadData) where it is
// damaged or of another size.
inline constexpr const char* kChoiceRuleFile = "accuracy.json";
void write_choice_rule(const fs::path& folder, const ChoiceRule& rule);
std::optional<ChoiceRule> read_choice_rule(const fs::path& folder, std::int64_t model_levels,
                                           std::int64_t prompt_levels);

}  // namespace elastify
