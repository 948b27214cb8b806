#include "tlm/choice_rule.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/json.h"

namespace elastify {
namespace {

using nlohmann::json;

bool is_share(const json& value) {
  return value.is_null() || (value.is_number() && value.get<double>() >= 0 && value.get<double>() <= 1);
}

}  // namespace

torch::Tensor worth(const ChoiceRule& rule, const torch::Tensor& model_logits, const torch::Tensor& prompt_logits) {
  const torch::Tensor head = (model_logits.unsqueeze(1) + prompt_logits.unsqueeze(0)).to(torch::kFloat64);
  if (!rule.head_weight) return head;
  return rule.accuracy.logit() + *rule.head_weight * head;
}

void write_choice_rule(const fs::path& folder, const ChoiceRule& rule) {
  json rows = json::array();
  for (std::int64_t m = 0; m < rule.accuracy.size(0); ++m) {
    json row = json::array();
    for (std::int64_t p = 0; p < rule.accuracy.size(1); ++p) {
      const double share = rule.accuracy[m][p].item<double>();
      row.push_back(std::isnan(share) ? json() : json(share));
    }
    rows.push_back(row);
  }
  json document = {{"accuracy", rows}};
  if (rule.head_weight) document["head_weight"] = *rule.head_weight;
  write_json(folder / kChoiceRuleFile, document);
}

std::optional<ChoiceRule> read_choice_rule(const fs::path& folder, std::int64_t model_levels,
                                           std::int64_t prompt_levels) {
  const fs::path path = folder / kChoiceRuleFile;
  if (!fs::exists(path)) return std::nullopt;
  const json document = read_json(path);
  const auto size = [](std::int64_t value) { return static_cast<std::size_t>(value); };
  const json rows = document.is_object() ? document.value("accuracy", json()) : json();
  const json weight = document.is_object() ? document.value("head_weight", json()) : json();
  ChoiceRule rule{torch::zeros({model_levels, prompt_levels}, torch::kFloat64), std::nullopt};
  bool fits = rows.is_array() && rows.size() == size(model_levels) && (weight.is_null() || weight.is_number());
  for (std::size_t m = 0; fits && m < rows.size(); ++m) {
    fits = rows[m].is_array() && rows[m].size() == size(prompt_levels);
    for (std::size_t p = 0; fits && p < rows[m].size(); ++p) {
      fits = is_share(rows[m][p]);
      if (!fits) break;
      rule.accuracy[static_cast<std::int64_t>(m)][static_cast<std::int64_t>(p)] =
          rows[m][p].is_null() ? std::numeric_limits<double>::quiet_NaN() : rows[m][p].get<double>();
    }
  }
  if (weight.is_number()) rule.head_weight = weight.get<double>();
  fits = fits && (!rule.head_weight || (std::isfinite(*rule.head_weight) && *rule.head_weight >= 0));
  if (!fits)
    fail_data(
        "{}: expected \"accuracy\", {} rows of {} shares between 0 and 1, or null, and perhaps \"head_weight\", 0 or "
        "more; train the tiny language model again",
        path.string(), model_levels, prompt_levels);
  return rule;
}

}  // namespace elastify
