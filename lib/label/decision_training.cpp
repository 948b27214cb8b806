#include "label/decision_training.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"

namespace elastify {
namespace {

// What training needs of tasks under SLOs of the lattice.
struct Targets {
  std::vector<SloRatios> lattice;
  torch::Tensor ratios;   // [slos, 2] float64, the lattice
  torch::Tensor values;   // [tasks, M, D, P] float32, of an answer within the SLO, costs aside
  torch::Tensor largest;  // [tasks] float64, the cost of which costs are shares
  torch::Tensor prior;    // [slos, families, M, P] float32, the shares of right answers
  torch::Tensor label;  // [tasks, slos, 2] int64: indices of the lightest right decision; -1 where nothing is feasible
  double saving = 0;
  std::int64_t defaults = 0, labels = 0;

  // [rows, M, P] float32 of tasks [rows] as `view` has them.
  torch::Tensor utility(const torch::Tensor& tasks, const SloView& view) const {
    const torch::Tensor share = view.cost / largest.index_select(0, tasks).view({-1, 1, 1});
    return view.reduce(values.index_select(0, tasks)) * (1 - saving * share).to(torch::kFloat32);
  }
};

torch::Tensor outcome_values(const OutcomeTable& table, double sharpness) {
  if (sharpness == 0) return table.right().to(torch::kFloat32);
  const torch::Tensor logits =
      (-sharpness * table.losses).masked_fill(table.losses < 0, -std::numeric_limits<double>::infinity());
  auto shape = table.chosen.sizes().vec();
  shape[0] = -1, shape.push_back(1);
  const torch::Tensor index = table.answer.view({-1, 1, 1, 1, 1}).expand(shape);
  // Where nothing was labelled all logits are -inf.
  return torch::softmax(logits, -1).gather(4, index).squeeze(4).nan_to_num(0).to(torch::kFloat32);
}

Targets make_targets(const DecisionSpace& space, const DecisionConfig& config) {
  const OutcomeTable& table = space.table();
  Targets t;
  t.lattice = slo_lattice();
  const auto slos = static_cast<std::int64_t>(t.lattice.size());
  t.ratios = torch::zeros({slos, 2}, torch::kFloat64);
  t.values = outcome_values(table, config.sharpness);
  t.largest = space.largest_cost();
  t.saving = config.saving;
  t.label = torch::full({table.tasks(), slos, 2}, -1, torch::kInt64);
  auto labels = t.label.accessor<std::int64_t, 3>();
  const torch::Tensor train = table.rows(TaskSplit::kTrain);
  std::vector<torch::Tensor> priors;
  for (std::int64_t s = 0; s < slos; ++s) {
    const SloRatios& slo = t.lattice[static_cast<std::size_t>(s)];
    t.ratios[s][0] = slo[0];
    t.ratios[s][1] = slo[1];
    const SloView view = space.under(slo);
    const torch::Tensor prior = family_accuracy(table, view.right, train);
    priors.push_back(prior.to(torch::kFloat32));
    for (std::int64_t i = 0; i < table.tasks(); ++i) {
      const auto label = decision_label(view, i, prior[table.family.accessor<std::int64_t, 1>()[i]]);
      if (!label) continue;
      labels[i][s][0] = label->decision.model;
      labels[i][s][1] = label->decision.prompt;
      ++t.labels;
      t.defaults += label->right ? 0 : 1;
    }
  }
  t.prior = torch::stack(priors);
  return t;
}

torch::Tensor label_loss(const DecisionLogits& logits, const torch::Tensor& label) {
  const torch::Tensor known = label.select(1, 0) >= 0;
  const auto part = [&](const torch::Tensor& values, std::int64_t which) {
    const torch::Tensor logs =
        torch::log_softmax(values, 1).gather(1, label.narrow(1, which, 1).clamp_min(0)).squeeze(1);
    return -(logs * known).sum();
  };
  return (part(logits.model_level, 0) + part(logits.prompt_level, 1)) / known.sum().clamp_min(1);
}

// The classifiers start at what is known of no prompt: logits whose sum is the mean utility of a decision, as far as
// two independent lists can have it, times `sharpness`. From random ones a hundred tasks are spent on learning that.
void start_at_prior(DualHead& model, const DecisionSpace& space, const Targets& targets, const torch::Tensor& tasks,
                    double sharpness) {
  torch::NoGradGuard no_grad;
  torch::Tensor mean = torch::zeros({targets.values.size(1), targets.values.size(3)});
  for (const SloRatios& slo : targets.lattice) mean += targets.utility(tasks, space.under(tasks, slo)).mean(0);
  mean *= sharpness / static_cast<double>(targets.lattice.size());
  const auto set = [&](TlmAffine& classifier, const torch::Tensor& logits) {
    classifier.weight.zero_();
    classifier.bias.copy_(logits);
  };
  set(model.model_level, mean.mean(1));
  set(model.prompt_level, mean.mean(0) - mean.mean());
}

std::vector<torch::Tensor> copies_of(const std::vector<TlmSlot>& slots) {
  std::vector<torch::Tensor> copies;
  for (const auto& slot : slots) copies.push_back(slot.tensor->detach().clone());
  return copies;
}

// Of each of `tasks` the share of SLOs under which it is answered rightly in time, over every seventh pair of the
// lattice: all TPOTs, nearly all TTFTs. [tasks] float64.
torch::Tensor lattice_accuracy(const DualHead& model, const DecisionData& data, const torch::Tensor& tasks,
                               const std::vector<SloRatios>& lattice) {
  const torch::Tensor shares = torch::zeros({tasks.numel()}, torch::kFloat64);
  auto right = shares.accessor<double, 1>();
  double slos = 0;
  for (std::size_t s = 0; s < lattice.size(); s += 7, ++slos) {
    const Proposals found = propose(model, data.rows, tasks, lattice[s]);
    const SloView view = data.space.under(tasks, lattice[s]);
    for (std::int64_t i = 0; i < tasks.numel(); ++i) {
      const auto best = top_feasible(found.model_level[i], found.prompt_level[i], view.feasible[i]);
      if (best && view.right.accessor<bool, 3>()[i][best->model][best->prompt]) ++right[i];
    }
  }
  return shares / slos;
}

// The head trained on `tasks` for `steps` steps, from what their outcomes say of no prompt; `before` sees it before
// every step.
TlmTrainResult train_on(DualHead& model, const torch::Tensor& tasks, std::int64_t steps, const TlmSettings& settings,
                        const DecisionConfig& config, const DecisionData& data, const Targets& targets,
                        std::uint64_t seed, const std::function<void(std::int64_t step)>& before) {
  const auto& lattice = targets.lattice;
  std::vector<std::size_t> lengths;
  for (std::int64_t i = 0; i < tasks.numel(); ++i)
    lengths.push_back(data.rows[static_cast<std::size_t>(tasks[i].item<std::int64_t>())].tokens.size());
  LengthSampler sampler(lengths, settings.batch_rows, derive_seed(seed, "decision"));
  std::mt19937_64 random(derive_seed(seed, "decision slo"));
  const torch::Device device = model.embeddings.word.device();
  start_at_prior(model, data.space, targets, tasks, config.prior_sharpness);
  if (steps == 0) return {};
  TlmTrainConfig rates = settings.decision;
  rates.steps = steps;
  return train_slots("decision-head", decision_slots(model), rates, [&](std::int64_t step) {
    before(step);
    std::vector<TlmRow> drawn;
    std::vector<std::int64_t> rows, slos;
    for (const std::size_t i : sampler.next()) {
      rows.push_back(tasks[static_cast<std::int64_t>(i)].item<std::int64_t>());
      slos.push_back(static_cast<std::int64_t>(random() % lattice.size()));
      const auto& slo = lattice[static_cast<std::size_t>(slos.back())];
      drawn.push_back(data.rows[static_cast<std::size_t>(rows.back())]);
      set_slo(drawn.back(), model.slo.ids(slo[0], slo[1]));
    }
    const TlmBatch batch = make_batch(drawn, model.body.pad_token_id, device);
    const DecisionLogits logits =
        decision_logits(model, shared_states(model, batch, {.training = true}), batch.mask, {.training = true});
    const torch::Tensor of = torch::tensor(rows), pairs = torch::tensor(slos);
    if (config.objective == "lightest") return label_loss(logits, targets.label.index({of, pairs}).to(device));
    const SloView view = data.space.under(of, targets.ratios.index_select(0, pairs));
    const torch::Tensor prior = targets.prior.index({pairs, data.space.table().family.index_select(0, of)});
    return utility_loss(logits, targets.utility(of, view).to(device), prior.to(device), view.feasible.to(device));
  });
}

// The head as it is now, asked about `tasks` under every SLO.
std::vector<ChoiceTrial> choice_trials(const DualHead& model, const DecisionData& data, const torch::Tensor& tasks,
                                       const std::vector<SloRatios>& lattice) {
  std::vector<ChoiceTrial> trials;
  for (const SloRatios& slo : lattice) {
    const Proposals found = propose(model, data.rows, tasks, slo);
    trials.push_back({found.model_level, found.prompt_level, data.space.under(tasks, slo)});
  }
  return trials;
}

void restore(const std::vector<TlmSlot>& slots, const std::vector<torch::Tensor>& tensors) {
  for (std::size_t i = 0; i < slots.size(); ++i) *slots[i].tensor = tensors[i].clone();
}

}  // namespace

std::size_t choose_earliest(const std::vector<torch::Tensor>& accuracies) {
  const auto mean = [](const torch::Tensor& values) { return values.mean().item<double>(); };
  const auto best = std::max_element(accuracies.begin(), accuracies.end(),
                                     [&](const auto& a, const auto& b) { return mean(a) < mean(b); });
  const auto is_close = [&](const torch::Tensor& accuracy) {
    const torch::Tensor behind = *best - accuracy;
    const double error =
        behind.numel() > 1 ? behind.std().item<double>() / std::sqrt(static_cast<double>(behind.numel())) : 0;
    return mean(behind) <= error;
  };
  return static_cast<std::size_t>(std::find_if(accuracies.begin(), accuracies.end(), is_close) - accuracies.begin());
}

torch::Tensor utility_loss(const DecisionLogits& logits, const torch::Tensor& utility, const torch::Tensor& prior,
                           const torch::Tensor& feasible) {
  const torch::Tensor own = utility * feasible;
  const torch::Tensor none = own.sum({1, 2}, true) == 0;
  const torch::Tensor value = torch::where(none, (prior + 1e-3) * feasible, own);
  const torch::Tensor known = feasible.flatten(1).any(1);
  const torch::Tensor sums = logits.model_level.unsqueeze(2) + logits.prompt_level.unsqueeze(1);
  const torch::Tensor barred = feasible.logical_not() & known.view({-1, 1, 1});
  const torch::Tensor logs = torch::log_softmax(sums.masked_fill(barred, -1e9).flatten(1), 1).view_as(sums);
  // log 0 is left out before the sum, not after it: its gradient is not finite.
  const torch::Tensor terms = (logs + value.clamp_min(1e-12).log()).masked_fill(value == 0, -1e9);
  return -(torch::logsumexp(terms.flatten(1), 1) * known).sum() / known.sum().clamp_min(1);
}

std::optional<DecisionIndex> top_feasible(const torch::Tensor& model_logits, const torch::Tensor& prompt_logits,
                                          const torch::Tensor& feasible) {
  if (!feasible.any().item<bool>()) return std::nullopt;
  const torch::Tensor sums = (model_logits.unsqueeze(1) + prompt_logits.unsqueeze(0))
                                 .masked_fill(feasible.logical_not(), -std::numeric_limits<float>::infinity());
  const std::int64_t flat = sums.flatten().argmax().item<std::int64_t>();
  return DecisionIndex{flat / feasible.size(1), flat % feasible.size(1)};
}

Proposals propose(const DualHead& model, const std::vector<TlmRow>& rows, const torch::Tensor& tasks,
                  const SloRatios& slo) {
  // Few rows: attention's weights (4 MB a row of 512 tokens and 4 heads) then stay in memory that the allocator keeps.
  constexpr std::int64_t kBatchRows = 6;
  torch::NoGradGuard no_grad;
  const SloIds ids = model.slo.ids(slo[0], slo[1]);
  std::vector<torch::Tensor> model_levels, prompt_levels;
  for (std::int64_t begin = 0; begin < tasks.numel(); begin += kBatchRows) {
    std::vector<TlmRow> drawn;
    for (std::int64_t i = begin; i < std::min(tasks.numel(), begin + kBatchRows); ++i) {
      drawn.push_back(rows[static_cast<std::size_t>(tasks[i].item<std::int64_t>())]);
      set_slo(drawn.back(), ids);
    }
    const TlmBatch batch = make_batch(drawn, model.body.pad_token_id, model.embeddings.word.device());
    const DecisionLogits logits = decision_logits(model, shared_states(model, batch), batch.mask);
    model_levels.push_back(logits.model_level.to(torch::kCPU, torch::kFloat32));
    prompt_levels.push_back(logits.prompt_level.to(torch::kCPU, torch::kFloat32));
  }
  return {torch::cat(model_levels), torch::cat(prompt_levels)};
}

DecisionTraining train_decision_head(DualHead& model, const TlmSettings& settings, const DecisionConfig& config,
                                     const DecisionData& data, std::uint64_t seed) {
  const OutcomeTable& table = data.space.table();
  const Targets targets = make_targets(data.space, config);
  const torch::Tensor train = table.rows(TaskSplit::kTrain), validation = table.rows(TaskSplit::kValidation);
  require(train.numel() > 0, "there are no training outcomes");
  const auto slots = decision_slots(model);
  const auto start = copies_of(slots);

  DecisionTraining result;
  result.label_default_share =
      static_cast<double>(targets.defaults) / static_cast<double>(std::max<std::int64_t>(1, targets.labels));
  std::vector<std::int64_t> steps;
  // Of the head as it was after some steps: lattice_accuracy() of the validation tasks, and its weights.
  std::vector<torch::Tensor> accuracies;
  std::vector<std::vector<torch::Tensor>> heads;
  const auto evaluate = [&](std::int64_t step) {
    if (validation.numel() == 0 || (step % config.eval_every != 0 && step != settings.decision.steps)) return;
    steps.push_back(step);
    accuracies.push_back(lattice_accuracy(model, data, validation, targets.lattice));
    heads.push_back(copies_of(slots));
  };
  result.losses = train_on(model, train, settings.decision.steps, settings, config, data, targets, seed, evaluate);
  evaluate(settings.decision.steps);
  if (validation.numel() == 0) {
    result.rule = fit_choice_rule(table, {});
    return result;
  }
  const std::size_t kept = choose_earliest(accuracies);
  result.best_step = steps[kept];
  result.validation_accuracy = accuracies[kept].mean().item<double>();
  spdlog::info(
      "decision-head: {} steps are best on validation, {:.1f} % within the SLO; trains again on train and validation "
      "tasks",
      result.best_step, 100 * result.validation_accuracy);
  restore(slots, heads[kept]);
  result.rule = fit_choice_rule(table, choice_trials(model, data, validation, targets.lattice));
  spdlog::info("decisions: the head's weight next to the shares of right answers is {:.2g}", *result.rule.head_weight);
  restore(slots, start);
  const torch::Tensor all = torch::cat({train, validation});
  const std::int64_t steps_of_as_many_passes = result.best_step * all.numel() / train.numel();
  train_on(model, all, steps_of_as_many_passes, settings, config, data, targets, seed, [](std::int64_t) {});
  return result;
}

}  // namespace elastify
