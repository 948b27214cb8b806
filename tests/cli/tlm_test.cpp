// The tiny language model's stages as a user runs them, on a random checkpoint: build, compare, help, wrong input.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "cli/run_command.h"
#include "tlm/dual_head_file.h"
#include "tlm/tlm_checkpoint.h"

namespace {

using elastify_test::Outcome;
using elastify_test::read_bytes;
using elastify_test::run_command;
using elastify_test::TempDir;
using elastify_test::write_bytes;
using nlohmann::json;

const std::string kSmoke = ELASTIFY_SOURCE_DIR "/configs/smoke.json";

std::string tasks_text(int first, int count) {
  const std::vector<std::string> names = {"Ann", "Bo", "Cy", "Di"};
  std::string lines;
  for (int i = first; i < first + count; ++i) {
    json task = json::object();
    task["id"] = std::to_string(i);
    task["family"] = i % 2 ? "odd" : "even";
    task["context"] = std::string("It is day ")
                          .append(std::to_string(i))
                          .append(". ")
                          .append(names[static_cast<std::size_t>(i % 4)])
                          .append(" has it.");
    task["question"] = "Who has it?";
    task["options"] = names;
    task["answer"] = i % 4;
    lines.append(task.dump()).append("\n");
  }
  return lines;
}

struct Setup {
  TempDir dir;
  Setup() {
    const json shape = {{"model_type", "llama"},       {"vocab_size", 260},
                        {"hidden_size", 32},           {"intermediate_size", 44},
                        {"num_hidden_layers", 4},      {"num_attention_heads", 8},
                        {"num_key_value_heads", 4},    {"max_position_embeddings", 96},
                        {"rms_norm_eps", 1e-5},        {"hidden_act", "silu"},
                        {"tie_word_embeddings", true}, {"torch_dtype", "float32"}};
    write_bytes(dir / "shape.json", shape.dump());
    REQUIRE(run_command("elastify", "random " + path("shape.json") + " --out " + path("model")).status == 0);
    write_bytes(dir / "train.jsonl", tasks_text(0, 24));
    write_bytes(dir / "validation.jsonl", tasks_text(100, 8));
    write_bytes(dir / "test.jsonl", tasks_text(200, 8));
  }
  std::string path(const std::string& name) const { return (dir / name).string(); }
  std::string set(const std::string& key, const std::string& value) const {
    return " --set " + key + "='" + value + "'";
  }
  std::string arguments(const std::string& command, const std::string& more = "") const {
    std::string text =
        command + " " + kSmoke + " --run-dir " + path("run") + " --json" + set("checkpoint", path("model"));
    for (const char* split : {"train", "validation", "test"})
      text += set(std::string("label.") + split, "[\"" + path(std::string(split) + ".jsonl") + "\"]");
    text += set("label.prompt_levels", "[50,100]") + set("label.train_items", "6") + set("label.chunk_tasks", "3") +
            set("tlm.word_items", "4");
    text +=
        set("tlm.size.vocab_size", "96") + set("tlm.size.max_positions", "64") + set("tlm.decisions.eval_every", "5");
    for (const char* phase : {"masked", "joint", "score", "decision"})
      text += set("tlm." + std::string(phase) + ".steps", "10");
    return text + " " + more;
  }
};

}  // namespace

TEST_CASE("a build with labelled tasks ends with a tiny language model in the artifact, and repeats bit by bit",
          "[cli]") {
  const Setup setup;
  const Outcome built = run_command("elastify", setup.arguments("build"));
  INFO(built.err);
  REQUIRE(built.status == 0);
  for (const char* output : {"score/model.safetensors", "labels.h5", "tlm/model.safetensors", "tlm/vocab.txt",
                             "tlm/accuracy.json", "latency.json", "comparison.json"}) {
    CHECK(std::filesystem::exists(setup.dir / "run" / output));
  }
  const json inspected =
      json::parse(run_command("elastify", "inspect " + setup.path("run/model.gguf") + " --verify --json").out);
  CHECK(inspected.at("tlm").at("model_levels") == json({20, 50, 80, 100}));
  const json comparison = json::parse(read_bytes(setup.dir / "run/comparison.json"));
  CHECK(comparison.at("decisions").at("tasks") == 8);
  CHECK(comparison.at("compression").at("gold relevance").size() == 2);

  const std::string labels = read_bytes(setup.dir / "run/labels.h5"),
                    artifact = read_bytes(setup.dir / "run/model.gguf");
  const json again = json::parse(run_command("elastify", setup.arguments("build")).out);
  for (const auto& stage : again.at("stages")) CHECK(stage.at("up_to_date") == true);
  std::filesystem::remove_all(setup.dir / "run");
  REQUIRE(run_command("elastify", setup.arguments("build")).status == 0);
  CHECK(read_bytes(setup.dir / "run/labels.h5") == labels);
  CHECK(read_bytes(setup.dir / "run/model.gguf") == artifact);
}

TEST_CASE("an evaluation says of a run what the comparison says, adds traces and methods, and fits one page", "[cli]") {
  const Setup setup;
  const Outcome without = run_command("elastify", "evaluate " + kSmoke + " --run-dir " + setup.path("none") +
                                                      setup.set("checkpoint", setup.path("model")));
  CHECK(without.status == 2);
  CHECK_THAT(without.err, Catch::Matchers::Contains("set label.train, label.validation and label.test"));

  const Outcome outcome = run_command(
      "elastify",
      setup.arguments("evaluate", "--requests 60 --methods ours,early-exit --ablations no_adapters,no_score_head" +
                                      setup.set("finetune.steps", "4")));
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  const json result = json::parse(outcome.out), comparison = json::parse(read_bytes(setup.dir / "run/comparison.json"));
  CHECK(result.at("objectives") == comparison.at("decisions"));
  CHECK(result == json::parse(read_bytes(setup.dir / "run/evaluation.json")));
  REQUIRE(result.at("traces").size() == 6);
  for (const auto& trace : result.at("traces")) {
    CHECK(trace.at("servers").size() == 10);
    for (const auto& server : trace.at("servers")) CHECK(server.at("right") <= server.at("met"));
  }
  // Nobody waits where there is no queue.
  CHECK(result.at("traces").at(0).at("servers").at("full").at("mean_wait_ms") == 0);
  CHECK(result.at("traces").at(1).at("servers").at("full").at("mean_wait_ms") > 0);
  std::vector<std::string> ablations;
  for (const auto& ablation : result.at("ablations")) ablations.push_back(ablation.at("name"));
  CHECK(ablations ==
        std::vector<std::string>{"no_decision_head", "published_choice", "one_level", "no_adapters", "no_score_head"});
  CHECK(std::filesystem::exists(setup.dir / "run/evaluate/no_adapters/model.gguf"));
  const json& methods = result.at("methods");
  CHECK(methods.at("methods").contains("early-exit"));
  for (const auto& best : methods.at("best")) CHECK(best == "early-exit");
  CHECK(result.at("costs").size() >= 10);
  for (const auto& level : result.at("carrying").at("levels")) CHECK(level.at("switch_us") > 0);
  const std::string page = read_bytes(setup.dir / "run/evaluation.html");
  for (const char* section : {"Objectives", "Traces", "Ablations", "Costs"})
    CHECK_THAT(page, Catch::Matchers::Contains(section));
  // It stands alone: the only addresses are places in the page and images that it holds.
  for (std::size_t at = page.find("src="); at != std::string::npos; at = page.find("src=", at + 1))
    CHECK(page.compare(at, 9, "src=\"data") == 0);
  for (std::size_t at = page.find("href=\""); at != std::string::npos; at = page.find("href=\"", at + 1))
    CHECK(page.compare(at, 7, "href=\"#") == 0);

  // Methods that were asked these tasks once are known from then on.
  const Outcome again =
      run_command("elastify", setup.arguments("evaluate", "--requests 60" + setup.set("finetune.steps", "4")));
  INFO(again.err);
  CHECK(json::parse(again.out).at("methods") == methods);

  const Outcome unknown = run_command("elastify", setup.arguments("evaluate", "--ablations no_luck"));
  CHECK(unknown.status == 2);
  CHECK_THAT(unknown.err, Catch::Matchers::Contains("there is no ablation no_luck") &&
                              Catch::Matchers::Contains("no_reordering, no_adapters"));
}

TEST_CASE("a trained score-head is taken over with its bottom, and only trained on", "[cli]") {
  const Setup setup;
  REQUIRE(run_command("elastify", setup.arguments("build")).status == 0);
  std::filesystem::copy(setup.dir / "run/score", setup.dir / "trained");
  const std::string before = read_bytes(setup.dir / "trained/model.safetensors");
  const auto train = [&](const std::string& more) {
    return run_command("elastify",
                       setup.arguments("train-score", setup.set("tlm.body", setup.path("trained")) +
                                                          setup.set("tlm.score.learning_rate", "1e-9") + more));
  };
  const Outcome outcome = train("");
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  const json summary = json::parse(outcome.out);
  CHECK(summary.at("masked_losses").empty());
  CHECK(summary.at("joint_losses").empty());
  CHECK(summary.at("score_losses").size() == 1);
  const auto trained = elastify::read_dual_head(setup.dir / "trained", torch::kCPU, torch::kFloat32);
  const auto taken = elastify::read_dual_head(setup.dir / "run/score", torch::kCPU, torch::kFloat32);
  CHECK(torch::equal(taken.embeddings.word, trained.embeddings.word));
  CHECK(torch::equal(taken.bottom[0].query.weight, trained.bottom[0].query.weight));
  const double moved = (taken.score.weight - trained.score.weight).abs().max().item<double>();
  CHECK(moved > 0);
  CHECK(moved < 1e-6);  // ten steps of about 1e-9, rounded to float32: it began where the trained one stood
  CHECK(read_bytes(setup.dir / "trained/model.safetensors") == before);

  const Outcome other = train(setup.set("tlm.heads.score_layers", "1"));
  CHECK(other.status == 2);
  CHECK_THAT(other.err, Catch::Matchers::Contains("score_layers is 1, the trained model has 2"));
}

TEST_CASE("a build starts from a BERT checkpoint, whose bottom stays as it came", "[cli]") {
  const Setup setup;
  elastify::TlmConfig shape = elastify::bert_base_config();
  shape.vocab_size = 0;
  const std::string vocabulary =
      "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nit\nis\nday\nann\nbo\ncy\ndi\nhas\n##s\n.\n?\nwho\n1\n2\n##0\n##1\n##2\n";
  for (const char c : vocabulary) shape.vocab_size += c == '\n' ? 1 : 0;
  shape.embedding_size = shape.bottleneck_size = shape.hidden_size = 48;
  shape.intermediate_size = 64;
  shape.num_layers = shape.num_heads = 4;
  shape.max_positions = 64;
  std::filesystem::create_directory(setup.dir / "bert");
  const elastify::TlmBody body = elastify::random_tlm_body(shape, 3);
  elastify::write_tlm_checkpoint(body, {}, setup.dir / "bert");
  const std::string from = setup.set("tlm.body", setup.path("bert"));
  const Outcome wordless = run_command("elastify", setup.arguments("build", from));
  CHECK(wordless.status == 3);
  CHECK_THAT(wordless.err, Catch::Matchers::Contains("expected vocab.txt or tokenizer.json"));
  write_bytes(setup.dir / "bert/vocab.txt", vocabulary);
  const Outcome built = run_command("elastify", setup.arguments("build", from));
  INFO(built.err);
  REQUIRE(built.status == 0);
  const auto taken = elastify::read_dual_head(setup.dir / "run/tlm", torch::kCPU, torch::kFloat32);
  CHECK(taken.body.kind == elastify::TlmBodyKind::kBert);
  CHECK(torch::equal(taken.embeddings.word, body.embeddings.word));
  CHECK(torch::equal(taken.bottom[1].feed_forward[0].up.weight, body.layers[1].feed_forward[0].up.weight));
  CHECK_FALSE(torch::equal(taken.score_layers[0].query.weight, body.layers[2].query.weight));
  const json inspected =
      json::parse(run_command("elastify", "inspect " + setup.path("run/model.gguf") + " --verify --json").out);
  CHECK(inspected.at("tlm").at("body") == "bert");
  CHECK(inspected.at("format_version") == 6);
  const json again = json::parse(run_command("elastify", setup.arguments("build", from)).out);
  for (const auto& stage : again.at("stages")) CHECK(stage.at("up_to_date") == true);
}

TEST_CASE("stages of the tiny language model say what they miss", "[cli]") {
  const Setup setup;
  const auto expect = [](const Outcome& outcome, int status, const char* words) {
    INFO(outcome.err);
    CHECK(outcome.status == status);
    CHECK_THAT(outcome.err, Catch::Matchers::Contains(words));
  };
  expect(run_command("elastify", setup.arguments("label")), 2, "pack-base has not run");
  expect(run_command("elastify", setup.arguments("label", "--set label.train=[]")), 2, "set label.train");
  expect(run_command("elastify", "help-label --run-dir " + setup.path("run")), 2, "no label stage under way");
}
