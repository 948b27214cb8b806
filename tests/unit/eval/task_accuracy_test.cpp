// The whole evaluation on a tiny artifact, against one fresh session per text and the runtime's own generate().
#include "eval/task_accuracy.h"

#include <catch2/catch.hpp>

#include <elrt/generator.hpp>
#include <elrt/scorer.hpp>

#include <cmath>
#include <limits>

#include "data/item.h"
#include "eval/answer_text.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"
#include "unit/runtime/tiny_tokenizer.h"

using elastify::ErrorCode;
using elastify::TaskItem;
using elastify_test::expect_error;
using elastify_test::TempDir;
using elastify_test::TemporaryFile;
using elastify_test::write_bytes;
using nlohmann::json;

namespace {

// Questions of a few letters; every model has some opinion on them.
std::vector<TaskItem> make_items() {
  std::vector<TaskItem> items;
  for (std::size_t i = 0; i < 40; ++i) {
    TaskItem item;
    item.id = "i" + std::to_string(i);
    item.family = i % 3 == 0 ? "three" : "rest";
    item.context = std::string(1 + i % 5, 'c') + " a" + std::to_string(i);
    item.question = i % 2 ? "ab?" : "b c?";
    item.options = {"ab", "c" + std::to_string(i), "a b c"};
    if (i % 4 == 0) item.options.push_back("bb");
    item.answer = (7 * i) % item.options.size();
    items.push_back(item);
  }
  return items;
}

struct Setup {
  TempDir dir;
  TemporaryFile model{elastify_test::tiny_artifact_with_tokenizer().build()};
  std::vector<TaskItem> items = make_items();
  elastify::TaskAccuracyRequest request;
  Setup() {
    std::string lines;
    for (const auto& item : items) lines += elastify::format_task(item) + "\n";
    write_bytes(dir / "t.jsonl", lines);
    request.artifact = model.path();
    request.tasks = {(dir / "t.jsonl").string()};
    request.threads = 1;
  }
};

elrt::Session open_session(const elrt::Artifact& artifact, std::uint32_t level, bool use_adapter) {
  elrt::SessionOptions options;
  options.level = level;
  options.threads = 1;
  options.use_adapter = use_adapter;
  auto session = elrt::Session::create(artifact, options);
  REQUIRE(session);
  return std::move(session).value();
}

struct Expected {
  double accuracy = 0, exact = 0, loss = 0, tokens = 0;
};

// The same figures for one family, text by text.
Expected brute_force(const elrt::Artifact& artifact, const std::vector<TaskItem>& items, const std::string& family,
                     std::uint32_t level, bool use_adapter) {
  const auto tokenizer = artifact.tokenizer().value();
  Expected expected;
  double count = 0;
  for (const auto& item : items) {
    if (item.family != family) continue;
    const std::string prompt = elastify::task_prompt(item);
    const std::size_t from =
        elrt::prompt_tokens(*tokenizer, prompt)->size();  // no token of this tokenizer crosses the border
    std::size_t best = 0;
    double lowest = INFINITY;
    for (std::size_t i = 0; i < item.options.size(); ++i) {
      elrt::Session session = open_session(artifact, level, use_adapter);
      const auto ids =
          elrt::prompt_tokens(*tokenizer, prompt + elastify::option_behind_prompt(item.options[i])).value();
      double sum = 0, tokens = 0;
      REQUIRE(elrt::score(session, ids, 0, [&](std::size_t index, double loss) {
        if (index >= from) sum += loss, ++tokens;
      }));
      if (sum / tokens < lowest) lowest = sum / tokens, best = i;
      if (i == item.answer) expected.loss += sum, expected.tokens += tokens;
    }
    expected.accuracy += best == item.answer ? 1 : 0;
    elrt::Session session = open_session(artifact, level, use_adapter);
    elrt::GenerateOptions options;
    options.max_tokens = 13;  // the longest option and spare tokens
    options.stop = {"\n"};
    const auto written = elrt::generate(session, *tokenizer, prompt, options);
    REQUIRE(written);
    expected.exact += elastify::same_answer(written->text, item.options[item.answer]) ? 1 : 0;
    ++count;
  }
  expected.accuracy /= count;
  expected.exact /= count;
  return expected;
}

void compare(const json& family, const Expected& expected) {
  CHECK(family.at("accuracy").get<double>() == Approx(expected.accuracy));
  CHECK(family.at("loss").get<double>() == Approx(expected.loss / expected.tokens).epsilon(1e-12));
  CHECK(family.at("exact_match").get<double>() == Approx(expected.exact));
}

}  // namespace

TEST_CASE("every level's figures equal those of fresh sessions, text by text", "[eval][unit]") {
  Setup setup;
  setup.request.generate = true;
  const json result = elastify::measure_task_accuracy(setup.request);
  const elrt::Artifact artifact = std::move(elrt::Artifact::open(setup.model.path())).value();
  REQUIRE(result.at("levels").size() == 3);
  CHECK(result.at("items") == 40);
  for (const auto& level : result.at("levels")) {
    const auto percent = level.at("level").get<std::uint32_t>();
    const bool adapted = level.at("adapter").get<bool>();
    CHECK(adapted == (artifact.level(percent)->adapter_rank > 0));
    double sum = 0;
    for (const char* name : {"three", "rest"}) {
      INFO("level " << percent << ", " << name);
      const json& family = level.at("families").at(name);
      compare(family, brute_force(artifact, setup.items, name, percent, true));
      CHECK(family.contains("without_adapter") == adapted);
      if (adapted) compare(family.at("without_adapter"), brute_force(artifact, setup.items, name, percent, false));
      sum += family.at("accuracy").get<double>();
    }
    CHECK(level.at("mean_accuracy").get<double>() == Approx(sum / 2));
    CHECK(level.contains("mean_accuracy_without_adapter") == adapted);
  }
  CHECK(result.at("levels")[0].at("adapter") == true);
  const std::string table = elastify::format_task_accuracy(result);
  for (const char* word : {"level 20", "three", "95 %", "exact match", "mean of families"})
    CHECK_THAT(table, Catch::Matchers::Contains(word));
}

TEST_CASE("levels without their adapters are left out where asked, and nothing else changes", "[eval][unit]") {
  Setup setup;
  json whole = elastify::measure_task_accuracy(setup.request);
  setup.request.plain = false;
  const json result = elastify::measure_task_accuracy(setup.request);
  bool adapters = false;
  for (auto& level : whole.at("levels")) {
    adapters = adapters || level.at("adapter").get<bool>();
    level.erase("mean_accuracy_without_adapter");
    for (auto& family : level.at("families")) family.erase("without_adapter");
  }
  CHECK(adapters);
  CHECK(result == whole);
}

TEST_CASE("examples show what every level writes for the first items of each family", "[eval][unit]") {
  Setup setup;
  setup.request.generate = true;
  setup.request.show = 2;
  const json result = elastify::measure_task_accuracy(setup.request);
  const json& examples = result.at("examples");
  REQUIRE(examples.size() == 4);
  CHECK(examples[0].at("id") == "i0");
  CHECK(examples[1].at("id") == "i1");
  CHECK(examples[2].at("id") == "i2");
  CHECK(examples[3].at("id") == "i3");
  const elrt::Artifact artifact = std::move(elrt::Artifact::open(setup.model.path())).value();
  const auto tokenizer = artifact.tokenizer().value();
  for (std::size_t i = 0; i < 4; ++i) {
    REQUIRE(examples[i].at("written").size() == 3);
    for (const auto& written : examples[i].at("written")) {
      elrt::Session session = open_session(artifact, written.at("level").get<std::uint32_t>(), true);
      elrt::GenerateOptions options;
      options.max_tokens = 13;  // the longest option and spare tokens
      options.stop = {"\n"};
      const auto fresh = elrt::generate(session, *tokenizer, elastify::task_prompt(setup.items[i]), options);
      REQUIRE(fresh);
      const std::string text = written.at("text");
      CHECK(elastify::same_answer(text, fresh->text));
      CHECK(written.at("right") == elastify::same_answer(text, setup.items[i].options[setup.items[i].answer]));
    }
  }
  CHECK_THAT(elastify::format_task_accuracy(result), Catch::Matchers::Contains("--- i3"));
}

TEST_CASE("results depend neither on threads nor on the items' order", "[eval][unit]") {
  Setup setup;
  setup.request.generate = true;
  setup.request.few_shot = 1;
  const json one = elastify::measure_task_accuracy(setup.request);
  setup.request.threads = 4;
  CHECK(elastify::measure_task_accuracy(setup.request) == one);
  setup.request.threads = 64;
  CHECK(elastify::measure_task_accuracy(setup.request) == one);
  std::string lines;
  for (auto item = setup.items.rbegin(); item != setup.items.rend(); ++item)
    lines += elastify::format_task(*item) + "\n";
  write_bytes(setup.dir / "t.jsonl", lines);
  const json reversed = elastify::measure_task_accuracy(setup.request);
  for (std::size_t i = 0; i < 3; ++i) {
    for (const char* family : {"three", "rest"}) {
      const json &a = reversed.at("levels")[i].at("families").at(family),
                 &b = one.at("levels")[i].at("families").at(family);
      CHECK(a.at("accuracy") == b.at("accuracy"));
      CHECK(a.at("exact_match") == b.at("exact_match"));
      CHECK(a.at("loss").get<double>() == Approx(b.at("loss").get<double>()).epsilon(1e-12));
    }
  }
}

TEST_CASE("the limit is per family, and controls change what is read", "[eval][unit]") {
  Setup setup;
  setup.request.levels = {100};
  const auto loss = [&] {
    return elastify::measure_task_accuracy(setup.request)
        .at("levels")[0]
        .at("families")
        .at("rest")
        .at("loss")
        .get<double>();
  };
  setup.request.limit = 5;
  const json result = elastify::measure_task_accuracy(setup.request);
  CHECK(result.at("items") == 10);
  CHECK(result.at("levels")[0].at("families").at("three").at("n") == 5);
  std::vector<double> losses;
  for (const char* mode : {"full", "none", "shuffled", "half"}) {
    setup.request.context = mode;
    losses.push_back(loss());
    CHECK(loss() == losses.back());
  }
  setup.request.context = "full";
  setup.request.few_shot = 1;
  losses.push_back(loss());
  std::sort(losses.begin(), losses.end());
  CHECK(std::adjacent_find(losses.begin(), losses.end()) == losses.end());
}

TEST_CASE("prompts beyond the context are shortened and counted, options beyond it left out", "[eval][unit]") {
  Setup setup;
  auto lines = [](const std::string& context, const std::string& option) {
    return json{{"context", context}, {"question", "b"}, {"options", {"a", option}}, {"answer", 0}}.dump() + "\n";
  };
  write_bytes(setup.dir / "t.jsonl",
              lines("c", "b") + lines(std::string(500, 'c'), "b") + lines("c", std::string(90, 'b')));
  setup.request.generate = true;
  const json result = elastify::measure_task_accuracy(setup.request);
  CHECK(result.at("items") == 2);
  CHECK(result.at("shortened") == 1);
  CHECK(result.at("left_out") == 1);
  write_bytes(setup.dir / "t.jsonl", lines("c", std::string(90, 'b')));
  expect_error(ErrorCode::kBadData, {"no task fits", "64"}, [&] { elastify::measure_task_accuracy(setup.request); });
}

TEST_CASE("what cannot be measured is refused", "[eval][unit]") {
  Setup setup;
  const auto refuse = [&](ErrorCode code, std::initializer_list<const char*> words) {
    expect_error(code, words, [&] { elastify::measure_task_accuracy(setup.request); });
  };
  setup.request.levels = {33};
  refuse(ErrorCode::kUsage, {"33", "20, 50, 100"});
  setup.request.levels = {-1};
  refuse(ErrorCode::kUsage, {"20, 50, 100"});
  setup.request.levels = {100};
  setup.request.few_shot = 30;
  refuse(ErrorCode::kUsage, {"--few-shot 30"});
  setup.request.few_shot = 0;

  const TemporaryFile without(elastify_test::TinyElastic(elastify_test::TinyElasticShape{}).artifact().build());
  setup.request.artifact = without.path();
  refuse(ErrorCode::kBadData, {"tokenizer"});

  auto damaged = elastify_test::tiny_artifact_with_tokenizer();
  damaged.tensor("output_norm.weight").bytes =
      elastify_test::f32_bytes(std::vector<float>(40, std::numeric_limits<float>::quiet_NaN()));
  const TemporaryFile file(damaged.build());
  setup.request.artifact = file.path();
  for (const std::int64_t threads : {1, 4}) {
    setup.request.threads = threads;
    refuse(ErrorCode::kBadData, {"not finite", "damaged"});
  }
}

TEST_CASE("the chart has the mean over families with its interval", "[eval][unit]") {
  const json result = {
      {"levels",
       {{{"level", 20},
         {"families",
          {{"a", {{"n", 100}, {"accuracy", 0.5}, {"chance", 0.25}, {"without_adapter", {{"accuracy", 0.3}}}}},
           {"b", {{"n", 100}, {"accuracy", 0.8}, {"chance", 0.35}, {"without_adapter", {{"accuracy", 0.4}}}}}}}},
        {{"level", 100},
         {"families",
          {{"a", {{"n", 100}, {"accuracy", 0.9}, {"chance", 0.25}}},
           {"b", {{"n", 100}, {"accuracy", 1.0}, {"chance", 0.35}}}}}}}}};
  const elastify::Plot plot = elastify::task_accuracy_plot(result);
  REQUIRE(plot.series.size() == 3);
  const elastify::Series &with = plot.series[0], &without = plot.series[1], &chance = plot.series[2];
  CHECK(with.name == "with adapter");
  CHECK(with.y[0] == Approx(65));
  CHECK(with.y[1] == Approx(95));
  CHECK(without.y[0] == Approx(35));
  CHECK(without.y[1] == Approx(95));  // level 100 has no adapter
  CHECK(chance.y[0] == Approx(30));
  CHECK(chance.low.empty());
  // Wilson: 0.5 of 100 is 0.4038 to 0.5962, 0.8 of 100 is 0.7112 to 0.8666.
  CHECK(with.low[0] == Approx(65 - 50 * std::hypot(0.0962, 0.0888)).margin(0.02));
  CHECK(with.high[0] == Approx(65 + 50 * std::hypot(0.0962, 0.0666)).margin(0.02));
  CHECK(with.high[1] <= 100);
}

TEST_CASE("without adapters the chart has no series for them", "[eval][unit]") {
  const json result = {
      {"levels", {{{"level", 100}, {"families", {{"a", {{"n", 10}, {"accuracy", 0.5}, {"chance", 0.25}}}}}}}}};
  const elastify::Plot plot = elastify::task_accuracy_plot(result);
  REQUIRE(plot.series.size() == 2);
  CHECK(plot.series[0].name == "accuracy");
  CHECK(plot.series[1].name == "chance");
}
