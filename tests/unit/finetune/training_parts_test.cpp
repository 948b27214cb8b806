#include <cmath>

#include "base/config.h"
#include "base/error.h"
#include "finetune/objective.h"
#include "finetune/recovery_schedule.h"
#include "finetune/stepper.h"
#include "unit/finetune/support.h"

using namespace elastify;
using namespace elastify_test;

TEST_CASE("the schedule rises linearly and falls along half a cosine to its floor", "[finetune][unit]") {
  Schedule schedule;
  schedule.steps = 104;
  schedule.warmup_steps = 4;
  schedule.peak = 2;
  schedule.final_share = 0.1;
  CHECK(schedule.rate(1) == Approx(0.5));
  CHECK(schedule.rate(4) == Approx(2));
  CHECK(schedule.rate(54) == Approx(2 * (0.1 + 0.9 * 0.5)));
  CHECK(schedule.rate(104) == Approx(0.2));
}

TEST_CASE("steps follow from epochs, and the learning rate from the width", "[finetune][unit]") {
  FinetuneConfig config;
  config.epochs = 2;
  config.batch_rows = 8;
  const Schedule schedule = make_schedule(config, 4096, 100);
  CHECK(schedule.steps == 25);
  CHECK(schedule.warmup_steps == 2);
  CHECK(schedule.peak == Approx(1e-4));
  CHECK(default_learning_rate(512) == Approx(1.6e-3));
  CHECK(default_learning_rate(64) == Approx(1e-2));
  CHECK_THROWS_AS(make_schedule(config, 4096, 0), Error);
}

TEST_CASE("the objective equals its hand-worked value", "[finetune][unit]") {
  // Two tokens: the student gives 1/2 each, the teacher 3/4 and 1/4, the text says the first.
  const torch::Tensor student = torch::zeros({1, 2}, torch::kFloat64);
  const torch::Tensor teacher = torch::tensor({{std::log(3.0), 0.0}}, torch::kFloat64);
  const torch::Tensor target = torch::zeros({1}, torch::kInt64);
  const double kl = 0.75 * std::log(1.5) + 0.25 * std::log(0.5);
  const auto distilled = evaluate_objective(student, teacher, target, {1, 1, 1});
  CHECK(distilled.loss.item<double>() == Approx(kl));
  CHECK(distilled.gradient[0][0].item<double>() == Approx(-0.25));
  CHECK(distilled.gradient[0][1].item<double>() == Approx(0.25));
  const auto mixed = evaluate_objective(student, teacher, target, {0.5, 1, 2});
  CHECK(mixed.loss.item<double>() == Approx(kl + std::log(2.0)));
  CHECK(mixed.gradient[0][0].item<double>() == Approx(-0.25 - 0.5));
}

TEST_CASE("the objective's gradient is what autograd gives", "[finetune][unit]") {
  torch::manual_seed(2);
  const torch::Tensor student = torch::randn({5, 11}, torch::kFloat64).requires_grad_();
  const torch::Tensor teacher = torch::randn({5, 11}, torch::kFloat64);
  const torch::Tensor targets = torch::tensor({1, 0, 10, 4, 4}, torch::kInt64);
  const double weight = 0.7, t = 2.5, scale = 0.2;
  const torch::Tensor q = torch::softmax(teacher / t, -1);
  const torch::Tensor kl = (q * (q.log() - torch::log_softmax(student / t, -1))).sum();
  const torch::Tensor next = -torch::log_softmax(student, -1).gather(-1, targets.unsqueeze(-1)).sum();
  const torch::Tensor loss = scale * (weight * t * t * kl + (1 - weight) * next);
  loss.backward();
  const auto result = evaluate_objective(student, teacher, targets, {weight, t, scale});
  CHECK(result.loss.item<double>() == Approx(loss.item<double>()));
  CHECK(torch::allclose(result.gradient, student.grad(), 1e-10, 1e-12));
}

TEST_CASE("AdamW on one buffer takes the published steps", "[finetune][unit]") {
  torch::manual_seed(5);
  torch::Tensor values = torch::randn({40}, torch::kFloat64), gradients = torch::zeros({40}, torch::kFloat64);
  torch::Tensor expected = values.clone(), mean = torch::zeros_like(values), square = torch::zeros_like(values);
  FlatAdamW optimizer(values, gradients, 0.8, 0.95, 0.1);
  for (int step = 1; step <= 5; ++step) {
    const double rate = 0.01 * step;
    gradients.copy_(torch::randn({40}, torch::kFloat64));
    optimizer.step(rate);
    mean = 0.8 * mean + 0.2 * gradients;
    square = 0.95 * square + 0.05 * gradients.square();
    expected = expected * (1 - rate * 0.1);
    expected =
        expected - rate * (mean / (1 - std::pow(0.8, step))) / ((square / (1 - std::pow(0.95, step))).sqrt() + 1e-8);
    CHECK(torch::allclose(values, expected, 1e-9, 1e-9));
  }
  CHECK(optimizer.steps() == 5);
}

TEST_CASE("a step read in several passes, one by one or side by side, equals the same step read in one",
          "[finetune][unit]") {
  const Decoder decoder(tiny_model({}, 1, torch::kFloat64));
  TokenRows rows = pattern_rows(8, 12);
  rows.targets.narrow(0, 0, 3).narrow(1, 0, 9).fill_(kIgnore);  // passes with unequal numbers of targets
  const Teacher teacher(decoder, rows, 0);
  const Adapter start = busy_adapter(decoder.weights());
  FinetuneConfig config = quick_config();
  config.batch_rows = 8;
  config.distill_weight = 0.5;
  const auto stepped = [&](std::int64_t accumulation, std::int64_t workers) {
    config.accumulation = accumulation;
    config.workers = workers;
    Stepper stepper(decoder, start, config, &teacher, 1);
    stepper.step(rows, torch::arange(8, torch::kInt64), 1, 1e-2);
    const auto outcome =
        stepper.step(rows, torch::arange(8, torch::kInt64), 2, 1e-2);  // sees what the first one changed
    return std::make_pair(outcome.loss, stepper.flat().values.clone());
  };
  const auto once = stepped(1, 1), split = stepped(4, 1), beside = stepped(4, 2);
  CHECK(once.first == Approx(split.first).epsilon(1e-10));
  CHECK(torch::allclose(once.second, split.second, 1e-6, 1e-8));
  CHECK(beside.first == split.first);
  CHECK(torch::equal(beside.second, split.second));
  CHECK(mean_loss(decoder, &start, rows, 3, 2) == mean_loss(decoder, &start, rows, 3, 1));
}

TEST_CASE("a gradient longer than clip_norm is shortened to it, a shorter one kept", "[finetune][unit]") {
  const Decoder decoder(tiny_model());
  const TokenRows rows = pattern_rows(4, 12);
  FinetuneConfig config = quick_config();
  config.loss = "next_token";
  const auto gradient_length = [&](double clip_norm) {
    config.clip_norm = clip_norm;
    Stepper stepper(decoder, busy_adapter(decoder.weights()), config, nullptr, 9);
    const double before = stepper.step(rows, torch::arange(4, torch::kInt64), 1, 0).gradient_norm;
    return std::make_pair(before, stepper.flat().gradients.norm().item<double>());
  };
  const auto [length, unclipped] = gradient_length(0);
  CHECK(unclipped == Approx(length));
  CHECK(gradient_length(length / 10).second == Approx(length / 10));
  CHECK(gradient_length(length * 2).second == Approx(length));
}

TEST_CASE("dropout acts in training, repeats with its step and leaves evaluation alone", "[finetune][unit]") {
  const Decoder decoder(tiny_model());
  const TokenRows rows = pattern_rows(4, 12);
  FinetuneConfig config = quick_config();
  config.loss = "next_token";
  config.dropout = 0.5;
  Adapter start = busy_adapter(decoder.weights());
  start.dropout = 0.5;
  const auto loss_at = [&](std::int64_t step) {
    Stepper stepper(decoder, start, config, nullptr, 9);
    return stepper.step(rows, torch::arange(4, torch::kInt64), step, 0).loss;
  };
  CHECK(loss_at(1) == loss_at(1));
  CHECK(loss_at(1) != loss_at(2));
  CHECK(mean_loss(decoder, &start, rows, 4) == mean_loss(decoder, &start, rows, 4));
}

TEST_CASE("a cached teacher gives the same logits", "[finetune][unit]") {
  const Decoder decoder(tiny_model({}, 1, torch::kFloat64));
  TokenRows rows = pattern_rows(6, 10);
  rows.targets.narrow(1, 0, 4).fill_(kIgnore);
  const Teacher direct(decoder, rows, 0), cached(decoder, rows, 1 << 20);
  CHECK_FALSE(direct.cached());
  CHECK(cached.cached());
  const Batch batch = make_batch(rows, torch::tensor({4, 1, 5}, torch::kInt64), torch::kCPU);
  REQUIRE(batch.counted() == 18);
  CHECK(torch::allclose(direct.logits(batch), cached.logits(batch), 1e-10, 1e-10));
}

TEST_CASE("every epoch is a permutation of all rows, whatever the batch", "[finetune][unit]") {
  RowOrder order(10, 3), again(10, 3);
  const torch::Tensor rows = order.rows(0, 30);
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    CHECK(torch::equal(std::get<0>(rows.narrow(0, epoch * 10, 10).sort()), torch::arange(10, torch::kInt64)));
  }
  CHECK_FALSE(torch::equal(rows.narrow(0, 0, 10), rows.narrow(0, 10, 10)));
  CHECK(torch::equal(again.rows(17, 8), rows.narrow(0, 17, 8)));
}

TEST_CASE("all problems of the settings are reported together", "[finetune][unit]") {
  try {
    read_config<FinetuneConfig>(json::parse(R"({"rank": 0, "loss": "mse", "stepz": 3})"), "test.json");
    FAIL("accepted");
  } catch (const Error& error) {
    const std::string message = error.what();
    CHECK(error.code() == ErrorCode::kUsage);
    CHECK(message.find("rank") != std::string::npos);
    CHECK(message.find("loss") != std::string::npos);
    CHECK(message.find("stepz") != std::string::npos);
  }
}
