// Models trained from nothing.
#include "baselines/scratch.h"

#include <csignal>

#include "base/interrupt.h"
#include "finetune/recovery_schedule.h"
#include "finetune/row_losses.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

#undef CHECK  // of LibTorch's logging; Catch2 has its own
#include <catch2/catch.hpp>

using namespace elastify;
using namespace elastify_test;

namespace {

TokenRows pattern(std::int64_t rows, std::int64_t seq) {
  const torch::Tensor stream = torch::arange(rows * (seq + 1), torch::kInt64).view({rows, seq + 1}) % 7 + 3;
  return {stream.narrow(1, 0, seq).contiguous(), stream.narrow(1, 1, seq).contiguous()};
}

FinetuneConfig settings() {
  FinetuneConfig config;
  config.steps = 20;
  config.batch_rows = 4;
  config.accumulation = 2;
  config.loss = "next_token";
  config.checkpoint_seconds = 0;
  return config;
}

const LevelWidths kHalf{{1, 1}, {24, 24}};

}  // namespace

TEST_CASE("a model from nothing has the level's shapes, and learns", "[baselines][unit]") {
  const ModelWeights full = tiny_model();
  const TokenRows rows = pattern(16, 12);
  const FinetuneConfig config = settings();
  Schedule schedule = make_schedule(config, 16, rows.rows(), rows.seq());
  schedule.peak = 1e-2;
  ScratchModel model = make_scratch_model(full, kHalf, 1);
  CHECK(model.weights.blocks[0].up.sizes().vec() == std::vector<std::int64_t>{24, 16});
  CHECK(model.weights.head.data_ptr() == model.weights.embedding.data_ptr());  // tied
  CHECK(torch::equal(model.weights.final_norm.detach(), torch::ones({16})));
  const double before = mean_loss(Decoder(model.weights), nullptr, rows, 4);
  const TempDir dir;
  train_scratch_inplace(model, {rows, config, schedule, nullptr, 7, "key", dir.path(), "test"});
  CHECK(mean_loss(Decoder(model.weights), nullptr, rows, 4) < 0.8 * before);
  // A second run takes the file.
  ScratchModel again = make_scratch_model(full, kHalf, 1);
  train_scratch_inplace(again, {rows, config, schedule, nullptr, 7, "key", dir.path(), "test"});
  CHECK(torch::equal(again.values, model.values));
}

TEST_CASE("the head in pieces gives the whole head's gradients", "[baselines][unit]") {
  const ModelWeights full = tiny_model();
  const TokenRows rows = pattern(32, 24);  // 768 positions: three pieces
  FinetuneConfig config = settings();
  config.steps = 1;
  config.batch_rows = 32;
  config.accumulation = 1;
  config.clip_norm = 0;
  Schedule schedule = make_schedule(config, 16, rows.rows(), rows.seq());
  schedule.peak = 0;  // gradients alone matter
  ScratchModel model = make_scratch_model(full, kHalf, 1), whole = make_scratch_model(full, kHalf, 1);
  const TempDir dir;
  train_scratch_inplace(model, {rows, config, schedule, nullptr, 7, "key", dir.path(), "test"});
  const Decoder decoder(whole.weights);
  (summed_loss(decoder.logits(rows.inputs), rows.targets) / static_cast<double>(rows.targets.numel())).backward();
  CHECK(torch::allclose(model.gradients, whole.gradients, 1e-3, 1e-6));
}

TEST_CASE("a killed training from nothing goes on to the same bits", "[baselines][unit]") {
  const ModelWeights full = tiny_model();
  const TokenRows rows = pattern(16, 12);
  FinetuneConfig config = settings();
  Schedule schedule = make_schedule(config, 16, rows.rows(), rows.seq());
  const TempDir whole, parts;
  ScratchModel expected = make_scratch_model(full, kHalf, 1);
  train_scratch_inplace(expected, {rows, config, schedule, nullptr, 7, "key", whole.path(), "test"});
  ScratchModel first = make_scratch_model(full, kHalf, 1);
  {
    const InterruptWatch watch;
    std::raise(SIGINT);
    CHECK_THROWS_AS(train_scratch_inplace(first, {rows, config, schedule, nullptr, 7, "key", parts.path(), "test"}),
                    Interrupted);
  }
  ScratchModel second = make_scratch_model(full, kHalf, 1);
  train_scratch_inplace(second, {rows, config, schedule, nullptr, 7, "key", parts.path(), "test"});
  CHECK(torch::equal(second.values, expected.values));
}
