// The decision-head on outcomes that a prompt's word settles, and on outcomes that nothing settles.
#include "label/comparison.h"
#include "unit/label/support.h"

using namespace elastify;
using namespace elastify_test;

namespace {

DualHead make_model() {
  TlmConfig config = tiny_tlm_config(2);
  config.embedding_size = 24;
  config.hidden_size = config.intermediate_size = 32;
  config.bottleneck_size = 16;
  TlmBody body = random_tlm_body(config, 3);
  body.embeddings.word *= 25;
  DualHeadConfig heads;
  heads.model_levels = {20, 60, 100};
  heads.prompt_levels = {10, 40, 70, 100};
  return make_dual_head(body, heads, 7);
}

struct Toy {
  OutcomeTable table;
  std::vector<TlmRow> rows;
};

// Word 30 says that the small model is right with the whole prompt only, word 31 that the middle one is with few words
// only.
Toy make_toy(std::int64_t tasks, bool shuffled) {
  Toy toy{random_outcomes(tasks, 5), {}};
  toy.table.prompt_tokens = toy.table.prompt_words.clone();
  toy.table.output_tokens.fill_(1);
  torch::manual_seed(shuffled ? 8 : 9);
  for (std::int64_t i = 0; i < tasks; ++i) {
    const bool small = i % 4 < 2, told = shuffled ? torch::rand({1}).item<float>() < 0.5 : small;
    TlmRow row{{2, 0, 0}, {-1, -1, -1}};
    for (std::int64_t w = 0; w < 6; ++w) {
      row.tokens.push_back(5 + torch::randint(0, 20, {1}).item<std::int64_t>());
      row.words.push_back(w);
    }
    row.tokens[3 + static_cast<std::size_t>(torch::randint(0, 6, {1}).item<std::int64_t>())] = told ? 30 : 31;
    toy.rows.push_back(row);
    for (std::int64_t m = 0; m < 3; ++m) toy.table.chosen[i][m].narrow(0, 0, m + 1) = (toy.table.answer[i] + 1) % 3;
    const std::int64_t level = small ? 0 : 1;
    toy.table.chosen[i][level][level][small ? 3 : 0] = toy.table.answer[i];
    toy.table.chosen[i][2][2][3] =
        toy.table.answer[i];  // the full decision, which is taken unasked where it is feasible
  }
  return toy;
}

// Both right decisions keep every SLO of the lattice; the TLM is free.
elrt::LatencyTable plain_latency() {
  elrt::LatencyData data;
  data.device = "plain";
  data.threads = data.repeats = 1;
  data.tokens = {1, 1000};
  data.levels = {{20, {0.2, 200}, {0.1, 0.1}}, {60, {0.6, 600}, {0.25, 0.25}}, {100, {1, 1000}, {0.5, 0.5}}};
  return std::move(elrt::LatencyTable::create(std::move(data))).value();
}

TlmSettings quick() {
  TlmSettings settings;
  settings.decision.steps = 800;
  settings.decision.learning_rate = 5e-3;
  settings.decision.log_every = 800;
  return settings;
}

nlohmann::json train_and_compare(const std::string& objective, bool shuffled) {
  const Toy toy = make_toy(shuffled ? 300 : 1500, shuffled);
  const elrt::LatencyTable latency = plain_latency();
  const DecisionSpace space(toy.table, latency, true), plain(toy.table, latency, false);
  DualHead model = make_model();
  DecisionConfig config;
  config.objective = objective;
  config.eval_every = 100;
  const DecisionData data{space, toy.rows};
  const DecisionTraining trained = train_decision_head(model, quick(), config, data, 1);
  return compare_decisions(judge_policies(propose_lattice(model, data, TaskSplit::kTest), trained.rule, data.space,
                                          plain, TaskSplit::kTest))
      .at("mean");
}

double accuracy(const nlohmann::json& mean, const char* policy) { return mean.at(policy).at("accuracy").get<double>(); }

}  // namespace

TEST_CASE("a decision-head that can know the right decision takes it, by either objective", "[label][unit][slow]") {
  for (const char* objective : {"right", "lightest"}) {
    INFO(objective);
    const auto mean = train_and_compare(objective, false);
    CHECK(accuracy(mean, "oracle") == Approx(1));
    CHECK(accuracy(mean, "tlm") > 0.99);  // rows it has not seen; train_test.cpp has the case with endless rows, at 1
    CHECK(accuracy(mean, "single") < accuracy(mean, "oracle") - 0.2);
  }
}

TEST_CASE("a decision-head that cannot know the right decision is no better than the best single one",
          "[label][unit][slow]") {
  const auto mean = train_and_compare("right", true);
  CHECK(accuracy(mean, "tlm") == Approx(accuracy(mean, "single")).margin(0.12));
  CHECK(accuracy(mean, "tlm") < accuracy(mean, "oracle") - 0.2);
}

TEST_CASE("a decision-head that learns nothing decides by the mean outcomes of all tasks that it may see",
          "[label][unit]") {
  const Toy toy = make_toy(40, false);
  const elrt::LatencyTable latency = plain_latency();
  DualHead model = make_model();
  TlmSettings settings = quick();
  settings.decision.steps = 1;
  settings.decision.learning_rate = 1e-30;
  DecisionConfig config;
  config.saving = 0;
  config.eval_every = 1;
  const DecisionSpace space(toy.table, latency, true);
  const DecisionTraining done = train_decision_head(model, settings, config, {space, toy.rows}, 1);
  CHECK(done.best_step == 0);
  const torch::Tensor seen = torch::cat({toy.table.rows(TaskSplit::kTrain), toy.table.rows(TaskSplit::kValidation)});
  REQUIRE(seen.numel() > toy.table.rows(TaskSplit::kTrain).numel());
  const torch::Tensor mean =
      config.prior_sharpness * toy.table.right_at_one_level().index_select(0, seen).to(torch::kFloat32).mean(0);
  CHECK(torch::allclose(model.model_level.bias, mean.mean(1), 0, 1e-5));
  CHECK(torch::allclose(model.prompt_level.bias, mean.mean(0) - mean.mean(), 0, 1e-5));
  CHECK(model.model_level.weight.abs().max().item<float>() == 0);
}

TEST_CASE("of heads that validation cannot tell apart the earliest is kept", "[label][unit]") {
  const auto list = [](std::vector<double> values) { return torch::tensor(values, torch::kFloat64); };
  const torch::Tensor none = list({0, 0, 0, 0}), most = list({1, 1, 1, 0}), others = list({1, 1, 0, 1});
  CHECK(choose_earliest({none, most, others}) == 1);
  CHECK(choose_earliest({others, none, most}) == 0);  // 0.5 worse on one task, as much ahead on another
  CHECK(choose_earliest({list({0.5, 0.5, 0.5, 0.5}), list({0.6, 0.6, 0.6, 0.6})}) == 1);  // a difference without error
  CHECK(choose_earliest({none}) == 0);
}

TEST_CASE("what is not feasible has no share of the decision-head's loss", "[label][unit]") {
  torch::Tensor model = torch::tensor({{0.5, 9.0, -1.0}, {1.0, 2.0, 3.0}}, torch::kFloat64),
                prompt = torch::tensor({{0.2, -0.3}, {0.0, 1.0}}, torch::kFloat64);
  model.requires_grad_(), prompt.requires_grad_();
  const auto cells = [](std::vector<double> row) {  // of the first row; the second is all zeros
    row.resize(12);
    return torch::tensor(row, torch::kFloat64).view({2, 3, 2});
  };
  const torch::Tensor feasible = cells({1, 1, 0, 0, 1, 0}).to(torch::kBool);
  const torch::Tensor utility = cells({0.9, 0, 0, 1, 0.5, 0});  // the 1 is out of reach
  const torch::Tensor loss =
      utility_loss({model, prompt}, utility, torch::full({2, 3, 2}, 0.1, torch::kFloat64), feasible);
  const double a = std::exp(0.5 + 0.2), b = std::exp(0.5 - 0.3), c = std::exp(-1.0 + 0.2);
  CHECK(loss.item<double>() == Approx(-std::log((0.9 * a + 0.5 * c) / (a + b + c))).epsilon(1e-12));
  loss.backward();
  CHECK(model.grad()[0][1].item<double>() == 0);
  CHECK(model.grad()[1].abs().max().item<double>() == 0);  // nothing is feasible
  CHECK(model.grad()[0][0].item<double>() < 0);
}
