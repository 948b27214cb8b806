#include <cmath>

#include "base/config.h"
#include "base/error.h"
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
  const Schedule schedule = make_schedule(config, 4096, 100, 512);
  CHECK(schedule.steps == 25);
  CHECK(schedule.warmup_steps == 2);
  CHECK(schedule.peak == Approx(1e-4));
  CHECK(default_learning_rate(512) == Approx(1.6e-3));
  CHECK(default_learning_rate(64) == Approx(1e-2));
  CHECK_THROWS_AS(make_schedule(config, 4096, 0, 512), Error);
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
  const TempDir folder;
  const auto full = full_states(decoder.weights(), quick_config(), 12);
  const Teacher teacher(
      {full.states, full.head, rows, torch::arange(8, torch::kInt64), 32, 1, folder.path() / "teacher", "key"});
  const Adapter start = busy_adapter(decoder.weights());
  FinetuneConfig config = quick_config();
  config.batch_rows = 8;
  config.distill_weight = 0.5;
  const auto stepped = [&](std::int64_t accumulation, std::int64_t workers) {
    config.accumulation = accumulation;
    config.workers = workers;
    Stepper stepper(decoder.weights(), {full_widths(decoder.config())}, start, config, &teacher, 1, 12);
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
    Stepper stepper(decoder.weights(), {full_widths(decoder.config())}, busy_adapter(decoder.weights()), config,
                    nullptr, 9, 12);
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
    Stepper stepper(decoder.weights(), {full_widths(decoder.config())}, start, config, nullptr, 9, 12);
    return stepper.step(rows, torch::arange(4, torch::kInt64), step, 0).loss;
  };
  CHECK(loss_at(1) == loss_at(1));
  CHECK(loss_at(1) != loss_at(2));
  CHECK(mean_loss(decoder, &start, rows, 4) == mean_loss(decoder, &start, rows, 4));
}

TEST_CASE("the teacher says of every counted position what the full level does, from the disk the second time",
          "[finetune][unit]") {
  const TempDir folder;
  const Decoder decoder(tiny_model({}, 1, torch::kFloat64));
  TokenRows rows = pattern_rows(6, 10);
  rows.targets.narrow(1, 0, 4).fill_(kIgnore);
  int passes = 0;
  const auto states = [&](const torch::Tensor& tokens) {
    ++passes;
    return decoder.hidden(tokens).flatten(0, 1);
  };
  const TeacherTask task{states, decoder.weights().head,    rows, torch::tensor({1, 3, 4, 5}, torch::kInt64), 5,
                         2,      folder.path() / "teacher", "key"};
  const Batch batch = make_batch(rows, torch::tensor({4, 1, 5}, torch::kInt64), torch::kCPU);
  REQUIRE(batch.counted() == 18);
  const auto check = [&](const Teacher& teacher) {
    const TopTokens found = teacher.top(batch);
    const auto [log, ids] =
        torch::log_softmax(counted_positions(decoder.logits(batch.inputs), batch) / 2, -1).topk(5, -1);
    CHECK(torch::equal(found.ids.to(torch::kInt64), ids));
    CHECK(torch::allclose(found.log.to(torch::kFloat64), log, 1e-3, 1e-3));  // float16 on the disk
  };
  check(Teacher(task));
  CHECK(passes > 0);
  passes = 0;
  check(Teacher(task));
  CHECK(passes == 0);
  TeacherTask other = task;
  other.key = "another text";
  check(Teacher(other));
  CHECK(passes > 0);
  fs::resize_file(folder.path() / "teacher" / "00000.safetensors", 100);
  CHECK_THROWS_AS(Teacher(other), Error);
}

TEST_CASE("the noise of a difference of losses is that of its rows", "[finetune][unit]") {
  // Differences by row 1, 3, 2, 2 over two targets each: mean 1, residuals -1, 1, 0, 0.
  const RowLosses a{{5, 7, 4, 9}, {2, 2, 2, 2}}, b{{4, 4, 2, 7}, {2, 2, 2, 2}};
  CHECK(a.mean() - b.mean() == Approx(1));
  CHECK(difference_error(a, b) == Approx(std::sqrt(2.0 * 4 / 3) / 8));
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
