#include "base/error.h"
#include "base/hash.h"
#include "finetune/rate_trial.h"
#include "finetune/recovery_schedule.h"
#include "finetune/stepper.h"
#include "model/shared_adapter.h"
#include "quantise/rounded_weights.h"
#include "train/metrics_log.h"
#include "unit/finetune/support.h"

using namespace elastify;
using namespace elastify_test;

namespace {

struct Killed {};

struct Setup {
  ModelWeights weights = tiny_model();
  TokenRows train = pattern_rows(16, 12), held_out = pattern_rows(4, 12, 2);
  std::vector<LevelPlan> levels = {half_level(weights.config, 30), half_level(weights.config, 60)};
  FinetuneInput input(const fs::path& directory) const {
    return {weights, levels, train, held_out, directory, directory / "teacher", 7, "inputs", "weights", {}};
  }
};

// Lines of metrics.jsonl without what depends on the clock.
std::vector<nlohmann::json> untimed_metrics(const fs::path& directory) {
  auto lines = read_metrics(directory / "metrics.jsonl");
  for (auto& line : lines) line.erase("tokens_per_s");
  return lines;
}

nlohmann::json untimed_result(const fs::path& directory) {
  auto result = read_json(directory / "result.json");
  for (const char* field : {"seconds", "evaluation_seconds", "step_seconds", "peak_rss_bytes"}) result.erase(field);
  return result;
}

}  // namespace

TEST_CASE("recovery learns a tiny corpus and keeps its adapters", "[finetune][unit]") {
  const TempDir folder;
  const Setup setup;
  FinetuneConfig config = quick_config();
  config.loss = "next_token";
  config.steps = 150;
  config.dropout = 0;
  config.learning_rate = 2e-2;
  const FinetuneSummary summary = finetune(setup.input(folder.path()), config);
  REQUIRE(summary.levels.size() == 2);
  CHECK(summary.levels[0].level == 30);
  for (const LevelResult& level : summary.levels) {
    CHECK(level.kept);
    CHECK(level.loss_after < 0.5 * level.loss_before);
    CHECK(level.steps_run <= 150);
  }
  const fs::path directory = level_directory(folder.path(), 60);
  const Adapter shipped = load_adapter(directory, setup.weights.config, torch::kCPU, torch::kFloat32);
  const Decoder sliced(slice_weights(setup.weights, setup.levels[1].widths));
  CHECK(mean_loss(sliced, &shipped, setup.held_out, 2) == Approx(summary.levels[1].loss_after).epsilon(1e-6));
  CHECK_FALSE(fs::exists(directory / "checkpoint.safetensors"));
}

TEST_CASE("levels with empty halves recover like others", "[finetune][unit]") {
  const TempDir folder;
  Setup setup;
  setup.levels[0].widths = {{0, 1}, {14, 0}};
  setup.levels[1].widths = {{0, 1}, {28, 28}};
  FinetuneConfig config = quick_config();
  config.steps = 60;
  config.dropout = 0;
  config.learning_rate = 2e-2;
  for (const LevelResult& level : finetune(setup.input(folder.path()), config).levels) {
    CHECK(level.kept);
    CHECK(level.loss_after < level.loss_before);
    const Adapter shipped =
        load_adapter(level_directory(folder.path(), level.level), setup.weights.config, torch::kCPU, torch::kFloat32);
    CHECK_FALSE(shipped.blocks[0][static_cast<std::size_t>(Target::kQ)].defined());
  }
}

TEST_CASE("recovery on a rounded base starts from its losses and repairs what rounding cost", "[finetune][unit]") {
  const Setup setup;
  FinetuneConfig config = quick_config();
  config.levels = {60};
  config.steps = 60;
  config.dropout = 0;
  for (const char* dtype : {"f16", "bf16", "q8_0", "iq4_nl", "q4_0"}) {
    const TempDir folder;
    config.base_dtype = dtype;
    const ModelWeights rounded = round_weights(setup.weights, dtype);
    CHECK(torch::equal(rounded.embedding, setup.weights.embedding));
    CHECK_FALSE(torch::equal(rounded.blocks[1].down, setup.weights.blocks[1].down));
    CHECK(torch::allclose(rounded.blocks[1].down, setup.weights.blocks[1].down, 0,
                          std::string(dtype).find("q4") != std::string::npos ? 0.2 : 0.01));
    const FinetuneSummary summary = finetune(setup.input(folder.path()), config);
    const LevelResult& level = summary.levels.at(0);
    const Decoder sliced(slice_weights(rounded, setup.levels[1].widths));
    CHECK(summary.loss_full == Approx(mean_loss(Decoder(rounded), nullptr, setup.held_out, 2)).epsilon(1e-6));
    CHECK(level.loss_before == Approx(mean_loss(sliced, nullptr, setup.held_out, 2)).epsilon(1e-6));
    CHECK(level.kept);
    const Adapter shipped =
        load_adapter(level_directory(folder.path(), 60), setup.weights.config, torch::kCPU, torch::kFloat32);
    CHECK(mean_loss(sliced, &shipped, setup.held_out, 2) == Approx(level.loss_after).epsilon(1e-6));
  }
}

TEST_CASE("a run killed anywhere ends with the bits of an uninterrupted one", "[finetune][unit]") {
  const Setup setup;
  const FinetuneConfig config = quick_config();
  const TempDir whole;
  finetune(setup.input(whole.path()), config);
  for (const std::int64_t kill_at : {1, 5, 6, 12}) {
    const TempDir folder;
    FinetuneConfig often = config;
    often.checkpoint_seconds = 0;
    for (const std::int64_t level : {60, 30}) {
      FinetuneInput input = setup.input(folder.path());
      input.after_step = [&](std::int64_t at, std::int64_t step) {
        if (at == level && step == kill_at) throw Killed{};
      };
      CHECK_THROWS_AS(finetune(input, often), Killed);
    }
    finetune(setup.input(folder.path()), config);
    for (const std::int64_t level : {60, 30}) {
      const fs::path expected = level_directory(whole.path(), level), found = level_directory(folder.path(), level);
      CAPTURE(kill_at, level);
      CHECK(untimed_result(found) == untimed_result(expected));
      CHECK(untimed_metrics(found) == untimed_metrics(expected));
      REQUIRE(fs::exists(expected / "adapter.safetensors"));
      CHECK(hash_file(found / "adapter.safetensors") == hash_file(expected / "adapter.safetensors"));
    }
  }
}

TEST_CASE("one adapter for all levels recovers each of them and goes on after a kill with the same bits",
          "[finetune][unit]") {
  const Setup setup;
  FinetuneConfig config = quick_config();
  config.adapters = "shared";
  config.loss = "next_token";
  config.steps = 150;
  config.eval_every = 25;
  config.dropout = 0;
  config.learning_rate = 2e-2;
  const TempDir whole;
  const FinetuneSummary summary = finetune(setup.input(whole.path()), config);
  REQUIRE(summary.levels.size() == 2);
  const fs::path shared = shared_adapter_directory(whole.path());
  CHECK(read_json(shared / "adapter_config.json").at("levels") == nlohmann::json{30, 60});
  const SharedAdapter shipped = load_shared_adapter(shared, setup.weights.config, torch::kCPU, torch::kFloat32);
  for (std::size_t i = 0; i < 2; ++i) {
    const LevelResult& level = summary.levels[i];
    CHECK(level.shared);
    CHECK(level.kept);
    CHECK(level.loss_after < 0.6 * level.loss_before);
    CHECK(level.gain_error > 0);
    const Decoder sliced(slice_weights(setup.weights, setup.levels[i].widths));
    Adapter cut = cut_adapter(shipped, level.level, setup.weights.config, setup.levels[i].widths);
    CHECK(cut.scale == level.adapter_scale);
    CHECK(mean_loss(sliced, &cut, setup.held_out, 2) == Approx(level.loss_after).epsilon(1e-6));
    for (const double share : {1.0, 0.85, 0.7, 0.5}) {  // of the trained scale: none is better than what was chosen
      cut.scale = share * shipped.adapter.scale;
      CHECK(mean_loss(sliced, &cut, setup.held_out, 2) > level.loss_after - 1e-6);
    }
    CHECK_FALSE(fs::exists(level_directory(whole.path(), level.level) / "adapter.safetensors"));
  }
  const TempDir folder;
  FinetuneInput input = setup.input(folder.path());
  input.after_step = [&](std::int64_t, std::int64_t step) {
    if (step == 60) throw Killed{};
  };
  FinetuneConfig often = config;
  often.checkpoint_seconds = 0;
  CHECK_THROWS_AS(finetune(input, often), Killed);
  finetune(setup.input(folder.path()), config);
  CHECK(hash_file(shared_adapter_directory(folder.path()) / "adapter.safetensors") ==
        hash_file(shared / "adapter.safetensors"));
  for (const std::int64_t level : {30, 60}) {
    CHECK(untimed_result(level_directory(folder.path(), level)) ==
          untimed_result(level_directory(whole.path(), level)));
  }
}

TEST_CASE("levels from own_from on have adapters of their own, and all together take the steps asked for",
          "[finetune][unit]") {
  const Setup setup;
  FinetuneConfig config = quick_config();
  config.adapters = "shared";
  config.own_from = 60;
  config.own_rank = 1;
  config.loss = "next_token";
  config.steps = 80;
  config.eval_every = 20;
  config.learning_rate = 2e-2;
  const TempDir folder;
  const FinetuneSummary summary = finetune(setup.input(folder.path()), config);
  REQUIRE(summary.levels.size() == 2);
  std::int64_t steps = 0;
  for (const LevelResult& level : summary.levels) {
    CHECK(level.kept);
    CHECK(level.shared == (level.level < 60));
    CHECK(fs::exists(level_directory(folder.path(), level.level) / "adapter.safetensors") == !level.shared);
    steps += level.steps_run;
  }
  CHECK(steps == 80);
  const SharedAdapter shared =
      load_shared_adapter(shared_adapter_directory(folder.path()), setup.weights.config, torch::kCPU, torch::kFloat32);
  CHECK(shared.scales.size() == 1);
  CHECK(shared.scales.count(30) == 1);
  // What the level's own folder holds is what was measured, its scale included.
  const Adapter own =
      load_adapter(level_directory(folder.path(), 60), setup.weights.config, torch::kCPU, torch::kFloat32);
  const Decoder sliced(slice_weights(setup.weights, setup.levels[1].widths));
  CHECK(mean_loss(sliced, &own, setup.held_out, 2) == Approx(summary.levels[1].loss_after).epsilon(1e-6));
  CHECK(own.rank == 1);
  CHECK(shared.adapter.rank == config.rank);
}

TEST_CASE("a single level's result says that its adapter lies in the shared folder", "[finetune][unit]") {
  const Setup setup;
  FinetuneConfig config = quick_config();
  config.adapters = "shared";
  config.loss = "next_token";
  config.levels = {60};
  config.steps = 40;
  config.eval_every = 20;
  config.learning_rate = 2e-2;
  const TempDir folder;
  const FinetuneSummary summary = finetune(setup.input(folder.path()), config);
  REQUIRE(summary.levels.size() == 1);
  REQUIRE(summary.levels[0].kept);
  CHECK(summary.levels[0].shared);
  CHECK(fs::exists(shared_adapter_directory(folder.path()) / "adapter.safetensors"));
}

TEST_CASE("a stop before the results are saved trains nothing again", "[finetune][unit]") {
  const TempDir folder;
  const Setup setup;
  FinetuneConfig config = quick_config();
  config.loss = "next_token";
  const Schedule schedule = make_schedule(config, setup.weights.config.hidden_size, setup.train.rows(), 12, 2);
  int steps = 0;
  const AdapterTask task{setup.levels,
                         full_widths(setup.weights.config),
                         setup.weights,
                         setup.train,
                         setup.held_out,
                         config,
                         schedule,
                         nullptr,
                         nullptr,
                         0,
                         7,
                         "key",
                         folder.path() / "shared",
                         [&](std::int64_t, std::int64_t) { ++steps; }};
  const auto first = train_adapter(task), again = train_adapter(task);
  CHECK(steps == 12);
  REQUIRE(again.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) CHECK(again[i].loss_after == first[i].loss_after);
  remove_checkpoint(task);
  train_adapter(task);
  CHECK(steps == 24);
}

TEST_CASE("a learning rate that is not given is chosen by short trainings, once", "[finetune][unit]") {
  CHECK(best_rate({{0.1, 3}, {0.2, 2}, {0.4, 2}, {0.8, INFINITY}}) == 0.2);
  CHECK_THROWS_AS(best_rate({{0.1, INFINITY}}), Error);
  const TempDir folder;
  const Setup setup;
  FinetuneConfig config = quick_config();
  config.adapters = "shared";
  config.learning_rate = 0;
  config.dropout = 0;
  config.steps = 100;
  const FinetuneSummary summary = finetune(setup.input(folder.path()), config);
  const nlohmann::json trials = read_json(folder.path() / "rates_30.json").at("trials");
  REQUIRE(trials.size() == 3);
  const auto best =
      std::min_element(trials.begin(), trials.end(), [](const nlohmann::json& a, const nlohmann::json& b) {
        return a.at("loss").get<double>() < b.at("loss").get<double>();
      });
  CHECK(summary.levels[0].learning_rate == best->at("rate").get<double>());
  config.rate_trials = false;
  const TempDir plain;
  CHECK(finetune(setup.input(plain.path()), config).levels[0].learning_rate ==
        Approx(default_learning_rate(setup.weights.config.hidden_size)));
}

TEST_CASE("written-out passes train as autograd does", "[finetune][unit]") {
  if (!multiplies_bfloat16(torch::kCPU)) return;  // no recovery takes them then
  const Setup setup;
  FinetuneConfig config = quick_config();
  config.adapters = "shared";
  config.steps = 60;
  config.dropout = 0;
  config.products = "bfloat16";
  const TempDir fast, plain;
  const FinetuneSummary found = finetune(setup.input(fast.path()), config);
  config.products = "float32";
  const FinetuneSummary expected = finetune(setup.input(plain.path()), config);
  for (std::size_t i = 0; i < 2; ++i) {
    // bfloat16 keeps 8 bits of every product; losses of some 3 nats agree to a hundredth.
    CHECK(found.levels[i].loss_before == Approx(expected.levels[i].loss_before).margin(0.02));
    CHECK(found.levels[i].loss_after == Approx(expected.levels[i].loss_after).margin(0.05));
    CHECK(found.levels[i].loss_after < found.levels[i].loss_before);
  }
}

TEST_CASE("a finished level is not trained again, and other inputs start it again", "[finetune][unit]") {
  const TempDir folder;
  const Setup setup;
  const FinetuneConfig config = quick_config();
  FinetuneInput input = setup.input(folder.path());
  int steps = 0;
  input.after_step = [&](std::int64_t, std::int64_t) { ++steps; };
  finetune(input, config);
  CHECK(steps == 24);
  finetune(input, config);
  CHECK(steps == 24);
  input.key = "other inputs";
  finetune(input, config);
  CHECK(steps == 48);
}

TEST_CASE("an adapter that harms the level is not kept", "[finetune][unit]") {
  const TempDir folder;
  Setup setup;
  setup.levels = {half_level(setup.weights.config, 60)};
  const Decoder level(slice_weights(setup.weights, setup.levels[0].widths));
  setup.held_out.targets = level.logits(setup.held_out.inputs).argmax(-1);  // what it already does best
  FinetuneConfig config = quick_config();
  config.loss = "next_token";
  config.learning_rate = 10;
  const FinetuneSummary summary = finetune(setup.input(folder.path()), config);
  REQUIRE(summary.levels.size() == 1);
  CHECK_FALSE(summary.levels[0].kept);
  CHECK(summary.levels[0].loss_after > summary.levels[0].loss_before);
  const fs::path directory = level_directory(folder.path(), 60);
  CHECK_FALSE(fs::exists(directory / "adapter.safetensors"));
  CHECK(fs::exists(directory / "result.json"));
}

TEST_CASE("patience ends a level early", "[finetune][unit]") {
  const TempDir folder;
  const Setup setup;
  FinetuneConfig config = quick_config();
  config.loss = "next_token";
  config.learning_rate = 1;  // worse at every step, but finite
  config.steps = 300;
  config.patience = 2;
  for (const LevelResult& level : finetune(setup.input(folder.path()), config).levels) CHECK(level.steps_run < 300);
}

TEST_CASE("steps without a finite loss are skipped, then training gives up with advice", "[finetune][unit]") {
  const TempDir folder;
  Setup setup;
  setup.weights.blocks[0].gate = setup.weights.blocks[0].gate.clone();
  setup.weights.blocks[0].gate[0][0] = NAN;
  try {
    finetune(setup.input(folder.path()), quick_config());
    FAIL("trained on NaN");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kBadData);
    CHECK(std::string(error.what()).find("learning_rate") != std::string::npos);
  }
  const auto lines = read_metrics(level_directory(folder.path(), 60) / "metrics.jsonl");
  CHECK(lines.at(0).at("skipped") == true);
}

TEST_CASE("one bad batch is skipped and changes nothing", "[finetune][unit]") {
  const ModelWeights weights = tiny_model();
  const TokenRows rows = pattern_rows(4, 8);
  FinetuneConfig config = quick_config();
  config.loss = "next_token";
  Adapter start = busy_adapter(weights);
  start.blocks[0][0].a[0][0] = NAN;
  Stepper stepper(weights, {full_widths(weights.config)}, start, config, nullptr, 1, 8);
  const torch::Tensor before = stepper.flat().values.clone();
  CHECK(stepper.step(rows, torch::arange(4, torch::kInt64), 1, 0.1).skipped);
  CHECK(torch::equal(torch::nan_to_num(stepper.flat().values), torch::nan_to_num(before)));
  CHECK(stepper.optimizer().steps() == 0);
}

TEST_CASE("settings that do not fit together are reported together", "[finetune][unit]") {
  const TempDir folder;
  const Setup setup;
  FinetuneConfig config = quick_config();
  config.accumulation = 3;
  config.targets = {"q", "head"};
  config.levels = {45};
  try {
    finetune(setup.input(folder.path()), config);
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kUsage);
    for (const char* word : {"accumulation", "head", "45"})
      CHECK(std::string(error.what()).find(word) != std::string::npos);
  }
}

TEST_CASE("metrics longer than the checkpoint are cut, shorter ones refused", "[finetune][unit]") {
  const TempDir folder;
  const fs::path path = folder.path() / "metrics.jsonl";
  std::uint64_t bytes = 0;
  {
    MetricsLog log(path, 0);
    log.append({{"step", 1}});
    bytes = log.sync();
    log.append({{"step", 2}});
  }
  { MetricsLog log(path, bytes); }
  CHECK(read_metrics(path).size() == 1);
  CHECK_THROWS_AS(MetricsLog(path, bytes + 1), Error);
}

TEST_CASE("metrics that have another name too are not written through it", "[finetune][unit]") {
  const TempDir folder;
  const fs::path path = folder.path() / "metrics.jsonl", other = folder.path() / "other.jsonl";
  std::uint64_t bytes = 0;
  {
    MetricsLog log(path, 0);
    log.append({{"step", 1}});
    bytes = log.sync();
    log.append({{"step", 2}});
  }
  fs::create_hard_link(path, other);
  const std::string before = read_file(other);
  { MetricsLog(path, bytes).append({{"step", 3}}); }
  CHECK(read_file(other) == before);
  CHECK(read_metrics(path).back() == nlohmann::json{{"step", 3}});
  CHECK(read_metrics(path).size() == 2);
}
