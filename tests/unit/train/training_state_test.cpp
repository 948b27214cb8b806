// One file for everything that goes on after a stop.
#include "train/training_state.h"
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include <limits>

#include "support/expect_error.h"
#include "support/temp_dir.h"

using namespace elastify;
using namespace elastify_test;

TEST_CASE("a training state gives back the same bits", "[train][unit]") {
  const TempDir dir;
  const torch::Tensor values = torch::randn({7}), like = torch::zeros({7});
  TrainingState state;
  state.put("values", values);
  state.put_count("step", 12345678901234);
  state.put_figure("best", std::numeric_limits<double>::infinity());
  state.put_figures("seconds", {0.1, 0.2, 1e-300});
  state.put_figures("none", {});
  state.save(dir / "state", "key");
  const auto found = TrainingState::load(dir / "state", "key");
  REQUIRE(found);
  CHECK(torch::equal(found->tensor("values", like), values));
  CHECK(found->count("step") == 12345678901234);
  CHECK(found->figure("best") == std::numeric_limits<double>::infinity());
  CHECK(found->figures("seconds") == std::vector<double>{0.1, 0.2, 1e-300});
  CHECK(found->figures("none").empty());
  expect_error(ErrorCode::kBadData, {"state", "missing"}, [&] { found->count("missing"); });
  expect_error(ErrorCode::kBadData, {"values", "[6]"}, [&] { found->copy_to("values", torch::zeros({6})); });
}

TEST_CASE("an optimizer goes on from a saved state as if it had not stopped", "[train][unit]") {
  const TempDir dir;
  const auto run = [](torch::Tensor& values, torch::Tensor& gradients, FlatAdamW& optimizer, int first, int last) {
    for (int step = first; step < last; ++step) {
      gradients.copy_(values * 0.1 + static_cast<double>(step));
      optimizer.step(1e-2);
    }
  };
  const torch::NoGradGuard no_grad;
  torch::Tensor whole = torch::ones({5}), whole_gradients = torch::zeros({5});
  FlatAdamW one(whole, whole_gradients, 0.9, 0.999, 0.1);
  run(whole, whole_gradients, one, 0, 6);

  torch::Tensor part = torch::ones({5}), part_gradients = torch::zeros({5});
  FlatAdamW two(part, part_gradients, 0.9, 0.999, 0.1);
  run(part, part_gradients, two, 0, 3);
  TrainingState state;
  state.put("values", part);
  state.put_optimizer("adamw", two);
  state.save(dir / "state", "key");

  torch::Tensor later = torch::zeros({5}), later_gradients = torch::zeros({5});
  FlatAdamW three(later, later_gradients, 0.9, 0.999, 0.1);
  const auto found = TrainingState::load(dir / "state", "key");
  REQUIRE(found);
  found->copy_to("values", later);
  found->restore_optimizer("adamw", three);
  run(later, later_gradients, three, 3, 6);
  CHECK(torch::equal(later, whole));
}

TEST_CASE("a state of other inputs or of another format is left alone, a damaged one is an error", "[train][unit]") {
  const TempDir dir;
  TrainingState state;
  state.put_count("step", 1);
  state.save(dir / "state", "key");
  CHECK_FALSE(TrainingState::load(dir / "none", "key"));
  CHECK_FALSE(TrainingState::load(dir / "state", "other key"));
  const std::string bytes = read_bytes(dir / "state");
  std::string renamed = bytes;
  renamed.replace(renamed.find("state.version"), 13, "resume.format");
  write_bytes(dir / "old", renamed);
  CHECK_FALSE(TrainingState::load(dir / "old", "key"));
  write_bytes(dir / "cut", bytes.substr(0, bytes.size() - 3));
  CHECK_THROWS_AS(TrainingState::load(dir / "cut", "key"), Error);
}
