// The whole program: exit statuses, JSON fields, and what goes to which stream.
#include <sys/wait.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "unit/runtime/tiny_tlm.h"
#include "unit/runtime/tiny_tokenizer.h"

using elastify_test::TemporaryFile;
using nlohmann::json;

namespace {

struct Outcome {
  int status = -1;
  std::string out;
};

Outcome run(const std::string& arguments, const std::string& redirect = "2>/dev/null") {
  const std::string command = std::string(ELASTIFY_BIN_DIR) + "/elastic-run " + arguments + " " + redirect;
  Outcome outcome;
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> buffer;
  for (std::size_t n; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) outcome.out.append(buffer.data(), n);
  const int status = pclose(pipe);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

// An artifact with its latency table, whose times are set by hand: level 50 takes half of level 100, level 20 a
// quarter.
struct Calibrated {
  TemporaryFile model;
  std::string file = model.path().string(), table = file + ".latency.json";

  explicit Calibrated(const std::vector<unsigned char>& bytes = elastify_test::tiny_artifact_with_tokenizer().build())
      : model(bytes) {
    REQUIRE(run("calibrate " + file + " --threads 1 --repeats 1").status == 0);
    change([](json& t) {
      t["tokens"] = {10, 20};
      for (std::size_t i = 0; i < 3; ++i) {
        const double full = i == 0 ? 1000 : i == 1 ? 2000 : 4000;
        t["levels"][i]["ttft_ms"] = {full, full};
        t["levels"][i]["tpot_ms"] = {full / 10, full / 10};
      }
    });
  }
  ~Calibrated() { std::remove(table.c_str()); }
  template <typename Edit>
  void change(Edit edit) const {
    json content = json::parse(std::ifstream(table));
    edit(content);
    std::ofstream(table) << content.dump();
  }
  Outcome generate(const std::string& options, const std::string& redirect = "2>/dev/null", int threads = 1) const {
    return run("generate " + file + " --prompt 'ab cab c' --max-tokens 4 --ignore-eos --threads " +
                   std::to_string(threads) + " " + options,
               redirect);
  }
};

std::vector<unsigned char> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

}  // namespace

TEST_CASE("generate prints the contract's fields", "[runtime][cli]") {
  const TemporaryFile model(elastify_test::tiny_artifact_with_tokenizer().build());
  const std::string file = model.path().string();
  const Outcome made = run("generate " + file + " --prompt 'ab c' --level 50 --max-tokens 7 --ignore-eos --json");
  REQUIRE(made.status == 0);
  const json result = json::parse(made.out);
  CHECK(result["level"] == 50);
  CHECK(result["prompt_level"] == 100);
  CHECK(result["tokens"].size() == 7);
  CHECK(result["text"].is_string());
  CHECK(result["ttft_ms"].get<double>() > 0);
  CHECK(result["tpot_ms"].get<double>() > 0);
  CHECK(result.contains("slo_met"));
  const Outcome again =
      run("generate " + file + " --prompt 'ab c' --level 50 --max-tokens 7 --ignore-eos --threads 2 --json");
  CHECK(json::parse(again.out)["tokens"] == result["tokens"]);
  const Outcome streamed = run("generate " + file + " --prompt 'ab c' --level 50 --max-tokens 7 --ignore-eos");
  CHECK(streamed.status == 0);
  CHECK(streamed.out == result["text"].get<std::string>() + "\n");
}

TEST_CASE("score and bench print the contract's fields", "[runtime][cli]") {
  const TemporaryFile model(elastify_test::tiny_artifact_with_tokenizer().build());
  const TemporaryFile text(bytes_of("ab cab c ab!"));
  const Outcome scored =
      run("score " + model.path().string() + " --level 20 --text-file " + text.path().string() + " --context 4 --json");
  REQUIRE(scored.status == 0);
  const json score = json::parse(scored.out);
  CHECK(score["tokens"].get<int>() > 3);
  CHECK(score["perplexity"].get<double>() == Approx(std::exp(score["nll"].get<double>())));
  const Outcome benched = run("bench " + model.path().string() + " --levels 20,100 --gen-tokens 4 --repeats 2 --json");
  REQUIRE(benched.status == 0);
  const json bench = json::parse(benched.out);
  REQUIRE(bench["levels"].size() == 2);
  for (const char* field :
       {"level", "prefill_tokens_per_s", "decode_tokens_per_s", "switch_us", "peak_rss_bytes", "resident_bytes",
        "cache_bytes_per_token", "memory_bandwidth_share", "peak_arithmetic_share"}) {
    CHECK(bench["levels"][1][field].get<double>() > 0);
  }
  for (const char* field : {"open_ms", "session_ms", "first_token_ms", "total_ms"})
    CHECK(bench["start"].at(0)[field].get<double>() > 0);
  for (const char* field : {"memory_bytes_per_s", "float_ops_per_s", "bf16_ops_per_s", "byte_ops_per_s"})
    CHECK(bench[field].get<double>() > 1e8);
}

TEST_CASE("bench takes files of several types and measures drafting", "[runtime][cli]") {
  const TemporaryFile model(elastify_test::tiny_artifact_with_tokenizer().build());
  const std::string file = model.path().string();
  const Outcome made = run("bench " + file + " " + file +
                           " --levels 50,100 --gen-tokens 8 --repeats 1 --threads 1 --kv-type q8_0 --reclaim "
                           "--draft-levels 20,50 --prompt 'ab c' --json");
  REQUIRE(made.status == 0);
  const json bench = json::parse(made.out);
  REQUIRE(bench["levels"].size() == 4);
  CHECK(bench["levels"][0]["level"] == 50);
  CHECK(bench["levels"][0]["dtype"] == "f32");
  REQUIRE(bench["drafting"].size() == 4);
  CHECK(bench["drafting"][1]["draft_level"] == 50);
  CHECK(bench["drafting"][1]["tokens_per_s"].get<double>() > 0);
  const Outcome shown = run("bench " + file + " --gen-tokens 8 --repeats 1 --threads 1 --draft-levels 20");
  CHECK(shown.status == 0);
  CHECK(shown.out.find("drafts of level 20") != std::string::npos);
}

TEST_CASE("bench measures what an adapter adds, at the levels that have one", "[runtime][cli]") {
  const TemporaryFile model(elastify_test::tiny_artifact_with_tokenizer().build());
  const std::string command =
      "bench " + model.path().string() + " --gen-tokens 8 --repeats 2 --threads 1 --adapter-cost";
  const json bench = json::parse(run(command + " --json").out);
  REQUIRE_FALSE(bench["adapters"].empty());
  for (const auto& cost : bench["adapters"]) {
    CHECK(cost["rank"].get<int>() > 0);
    CHECK(cost["level"].get<int>() < 100);
    CHECK(cost["added_decode_share"].get<double>() > -1);
    CHECK(cost["added_prefill_share"].get<double>() > -1);
  }
  CHECK(run(command).out.find("its adapter of rank") != std::string::npos);
  CHECK(json::parse(
            run("bench " + model.path().string() + " --gen-tokens 8 --repeats 1 --threads 1 --json").out)["adapters"]
            .empty());
}

TEST_CASE("cache types, drafting and cache policies are options", "[runtime][cli]") {
  const TemporaryFile model(elastify_test::tiny_artifact_with_tokenizer().build());
  const TemporaryFile text(bytes_of("ab cab c ab!"));
  const std::string generate =
      "generate " + model.path().string() + " --prompt 'ab c' --max-tokens 9 --ignore-eos --threads 1 --json";
  const json plain = json::parse(run(generate).out),
             drafted = json::parse(run(generate + " --draft-level 50 --draft-tokens 3").out);
  CHECK(drafted["tokens"] == plain["tokens"]);
  CHECK(drafted["drafted_tokens"].get<int>() > 0);
  CHECK(plain["drafted_tokens"] == 0);
  const json small = json::parse(run(generate + " --kv-type q8_0").out);
  CHECK(small["kv_type"] == "q8_0");
  CHECK(small["cache_bytes_per_token"].get<int>() * 3 < plain["cache_bytes_per_token"].get<int>());
  const std::string score =
      "score " + model.path().string() + " --level 20 --text-file " + text.path().string() + " --json";
  const double recomputed = json::parse(run(score + " --first-level 100").out)["nll"].get<double>();
  CHECK(json::parse(run(score + " --first-level 20").out)["nll"].get<double>() == recomputed);
  CHECK(json::parse(run(score + " --first-level 100 --kv-policy reuse").out)["nll"].get<double>() != recomputed);
  const Outcome many =
      run("score " + model.path().string() + " --text-file " + text.path().string() + " --threads 64", "2>&1");
  CHECK(many.status == 0);
  CHECK(many.out.find("64 threads on") != std::string::npos);
}

TEST_CASE("calibrate writes a table next to the artifact and can be run again", "[runtime][cli]") {
  const TemporaryFile model(elastify_test::tiny_artifact_with_tokenizer().build());
  const std::string file = model.path().string(), table = file + ".latency.json";
  for (int again = 0; again < 2; ++again) {
    const Outcome made = run("calibrate " + file + " --threads 1 --repeats 2 --json");
    REQUIRE(made.status == 0);
    const json result = json::parse(made.out);
    CHECK(result["file"] == table);
    CHECK(result["run_time_s"].get<double>() > 0);
    CHECK(result["threads"] == 1);
    CHECK(result["tokens"] == json({16, 32, 64}));
    CHECK(result["levels"].size() == 3);
    CHECK(json::parse(std::ifstream(table))["levels"].size() == 3);
    std::ofstream(table) << "damaged";
  }
  std::remove(table.c_str());
  const Outcome shown = run("calibrate " + file + " --threads 1 --repeats 1 --lengths 4,8 --out " + table);
  CHECK(shown.status == 0);
  CHECK(shown.out.find("1 threads") != std::string::npos);
  CHECK(json::parse(std::ifstream(table))["tokens"] == json({4, 8}));
  std::remove(table.c_str());
}

TEST_CASE("generate chooses the level that the objective and the table ask for", "[runtime][cli]") {
  const Calibrated setup;
  const Outcome made = setup.generate("--ttft 0.5 --tpot 0.6 --json");
  REQUIRE(made.status == 0);
  const json result = json::parse(made.out);
  CHECK(result["level"] == 50);
  CHECK(result["prompt_level"] == 100);
  CHECK(result["prompt_words"] == 3);
  CHECK(result["prompt_words_kept"] == 3);
  CHECK(result["predicted_ttft_ms"] == 2000);
  CHECK(result["predicted_tpot_ms"] == 200);
  CHECK(result["slo"] == json({{"unit", "ratio"}, {"ttft", 0.5}, {"tpot", 0.6}, {"ttft_ms", 2000}, {"tpot_ms", 240}}));
  CHECK(result["feasible"] == true);
  CHECK(result["fallback"] == "best");
  CHECK(result["slo_met"].is_boolean());
  CHECK(result["ttft_ms"].get<double>() > 0);
  CHECK(result["tokens"] == json::parse(setup.generate("--level 50 --json").out)["tokens"]);
  const auto level = [&](const std::string& options) {
    return json::parse(setup.generate(options + " --json").out)["level"];
  };
  CHECK(level("--ttft 1 --tpot 1") == 100);
  CHECK(json::parse(setup.generate("--ttft 1 --tpot 1 --json").out)["decision_source"] == "full");
  CHECK(level("--ttft 0.4 --tpot 1") == 20);
  // The prompt is read at one level, the answer written at another, as when both are given by hand.
  const json phases = json::parse(setup.generate("--ttft 1 --tpot 0.3 --json").out);
  CHECK(phases["level"] == 100);
  CHECK(phases["decode_level"] == 20);
  const json by_hand = json::parse(setup.generate("--level 100 --decode-level 20 --json").out);
  CHECK(by_hand["level"] == 100);
  CHECK(by_hand["decode_level"] == 20);
  CHECK(phases["tokens"] == by_hand["tokens"]);
  CHECK(json::parse(setup.generate("--level 50 --json").out)["decode_level"] == 50);
  CHECK(level("--ttft 1 --tpot 0.3 --one-level") == 20);
  CHECK(setup.generate("--level 50 --decode-level 100", "2>&1").status == 2);
  CHECK(setup.generate("--ttft 1 --tpot 1 --decode-level 50", "2>&1").status == 2);
  CHECK(level("--ttft-ms 2000 --tpot-ms 200") == 50);
  CHECK(level("--ttft-ms 2000 --tpot-ms 200 --margin 0.1") == 20);
  CHECK(level("--ttft-ms 4000 --tpot-ms 400 --fallback random --seed 1") !=
        level("--ttft-ms 4000 --tpot-ms 400 --fallback random --seed 0"));
  CHECK(level("--ttft 1 --tpot 1 --latency " + setup.table) == 100);
  const json missed = json::parse(setup.generate("--ttft-ms 0.000001 --tpot-ms 1000 --json").out);
  CHECK(missed["level"] == 20);
  CHECK(missed["feasible"] == false);
  CHECK(missed["slo_met"] == false);
  const Outcome shown = setup.generate("--ttft-ms 0.000001 --tpot-ms 1000", "2>&1");
  CHECK(shown.out.find("no decision can meet it") != std::string::npos);
}

TEST_CASE("generate asks the artifact's tiny language model and reports what became of the prompt", "[runtime][cli]") {
  elastify_test::GgufBuilder builder = elastify_test::tiny_artifact_with_tokenizer();
  elastify_test::add_tiny_tlm(builder, 50, 50);
  const Calibrated setup(builder.build());
  setup.change([](json& t) { t["tlm"] = {{"decision_ms", {10, 10}}, {"score_ms", {20, 20}}}; });
  const std::string prompt =
      "generate " + setup.file + " --threads 1 --max-tokens 2 --prompt 'ab cab c ba ca ba cc ab ba' ";
  const json result = json::parse(run(prompt + "--question 'cab b' --ttft 0.6 --tpot 0.6 --json").out);
  CHECK(result["level"] == 50);
  CHECK(result["prompt_level"] == 50);
  CHECK(result["decision_source"] == "proposed");
  CHECK(result["prompt_words"] == 11);
  CHECK(result["prompt_words_kept"].get<int>() < 11);
  const auto read = result["prompt"].get<std::string>();
  CHECK(read.substr(read.size() - 6) == "\ncab b");
  CHECK(result["tlm_ms"].get<double>() > 0);
  CHECK(result["predicted_ttft_ms"] == 2000 + 30 * 1.25 * 1.25);  // 25 prompt tokens, the table's longest are 20
  CHECK(result["slo_met"].is_boolean());
  const json full = json::parse(run(prompt + "--ttft 1 --tpot 1 --json").out);
  CHECK(full["decision_source"] == "full");
  CHECK(full["tlm_asked"] == false);
  CHECK(full["level"] == 100);
  const json levels_only = json::parse(run(prompt + "--ttft 0.6 --tpot 0.6 --no-tlm --json").out);
  CHECK(levels_only["prompt_level"] == 100);
  CHECK(levels_only["level"] == 50);
  const Outcome shown = run(prompt + "--ttft 0.6 --tpot 0.6", "2>&1");
  CHECK(shown.out.find("prompt words kept") != std::string::npos);
  CHECK(shown.out.find("no tiny language model") == std::string::npos);
  const Outcome bare = Calibrated().generate("--ttft 0.6 --tpot 0.6", "2>&1");
  CHECK(bare.out.find("no tiny language model") != std::string::npos);
}

TEST_CASE("compress shortens a prompt, its question untouched", "[runtime][cli]") {
  elastify_test::GgufBuilder builder = elastify_test::tiny_artifact_with_tokenizer();
  elastify_test::add_tiny_tlm(builder);
  const TemporaryFile model(builder.build());
  const std::string prompt =
      "Bees hum. Anna will order the seeds before Friday. Tom is away. A cat naps. It rains today.";
  const std::string question = "Who will order the seeds?";
  const std::string asked = "compress " + model.path().string() + " --threads 1 --prompt '" + prompt + "' ";
  const std::string apart = asked + "--question '" + question + "' ";
  const auto compress = [](const std::string& arguments) {
    const Outcome made = run(arguments + " --json");
    REQUIRE(made.status == 0);
    return json::parse(made.out);
  };
  for (const char* rank : {"", "--rank both ", "--rank overlap "}) {
    const json result = compress(apart + rank + "--keep 50");  // 12 of 23 words, five of them the question's
    REQUIRE(result.size() == 3);
    REQUIRE(result["words"].size() == 23);
    REQUIRE(result["kept"].size() == 23);
    std::string text;
    for (std::size_t w = 0; w < 23; ++w) {
      CHECK(result["kept"][w].is_boolean());
      if (result["kept"][w].get<bool>())
        text += (text.empty() ? "" : w == 18 ? "\n" : " ") + result["words"][w].get<std::string>();
    }
    CHECK(text == "Anna will order the seeds before Friday.\n" + question);
    CHECK(result["text"] == text);
    const Outcome shown = run(apart + rank);
    CHECK(shown.status == 0);
    CHECK(shown.out == text + "\n");
  }
  CHECK(compress(apart + "--keep 100")["text"] == prompt + "\n" + question);
  CHECK(compress(apart + "--keep 1")["text"] == question);
  const json scores = compress(apart + "--rank scores");
  CHECK(scores["kept"] != compress(apart)["kept"]);  // the tiny model's weights are random
  // The same question as the prompt's last bytes, as its last sentence, and from a file.
  const TemporaryFile whole(bytes_of(prompt + "\n" + question));
  const std::string file = "compress " + model.path().string() + " --prompt-file ";
  const json expected = compress(apart);
  CHECK(compress(file + whole.path().string()) == expected);
  CHECK(compress(file + whole.path().string() + " --question-bytes " + std::to_string(question.size())) == expected);
  CHECK(json::parse(run(file + "- --json", "<" + whole.path().string()).out) == expected);
  CHECK(compress(file + whole.path().string() + " --question-bytes 6 --keep 1")["text"] == "seeds?");
  const TemporaryFile numbers(bytes_of("Room 4 is cold. Anna orders seeds.\n" + question));
  CHECK(compress(file + numbers.path().string() + " --keep 1 --keep-numbers")["text"] == "4\n" + question);
}

TEST_CASE("compress says in one line what it cannot use", "[runtime][cli]") {
  elastify_test::GgufBuilder builder = elastify_test::tiny_artifact_with_tokenizer();
  const TemporaryFile bare(builder.build());
  elastify_test::add_tiny_tlm(builder);
  const TemporaryFile model(builder.build());
  const TemporaryFile broken(bytes_of("ab \xFF cab.\nWho?")), empty(std::vector<unsigned char>{});
  const std::string with = "compress " + model.path().string() + " ";
  const auto refused = [](const std::string& arguments, int status, const std::string& message) {
    const Outcome outcome = run(arguments, "2>&1");
    INFO(outcome.out);
    CHECK(outcome.status == status);
    CHECK(outcome.out.find(message) != std::string::npos);
    CHECK(std::count(outcome.out.begin(), outcome.out.end(), '\n') == 1);
  };
  refused("compress " + bare.path().string() + " --prompt ab", 2, "no tiny language model");
  refused("compress /nonexistent --prompt ab", 3, "/nonexistent");
  refused(with, 2, "--prompt-file");
  refused(with + "--prompt ''", 2, "empty");
  refused(with + "--prompt-file " + empty.path().string(), 2, "empty");
  refused(with + "--prompt-file " + broken.path().string(), 3, "UTF-8");
  refused(with + "--prompt ab --question-bytes 3", 2, "3 bytes, the whole prompt only 2");
  for (const char* options : {"--prompt ab --keep 0", "--prompt ab --keep 101", "--prompt ab --rank best",
                              "--prompt ab --question b --question-bytes 1", "--prompt ab --prompt-file b"})
    CHECK(run(with + options).status == 2);
  CHECK(run("compress --help").status == 0);
}

TEST_CASE("an objective without a table that holds says what to do", "[runtime][cli]") {
  const Calibrated setup;
  const auto refused = [&](int status, const std::string& message, int threads = 1) {
    const Outcome outcome = setup.generate("--ttft 1 --tpot 1", "2>&1", threads);
    INFO(outcome.out);
    CHECK(outcome.status == status);
    CHECK(outcome.out.find(message) != std::string::npos);
    CHECK(std::count(outcome.out.begin(), outcome.out.end(), '\n') == 1);
  };
  refused(2, "measured with 1 threads, 2 are used", 2);
  setup.change([](json& t) { t["device"] = "another"; });
  refused(3, "another device");
  setup.change([](json& t) { t["artifact"] = "0123456789abcdef"; });
  refused(3, "another artifact");
  setup.change([](json& t) { t["levels"][0]["ttft_ms"][0] = -1; });
  refused(3, "calibrate");
  std::remove(setup.table.c_str());
  refused(2, "elastic-run calibrate");
}

TEST_CASE("bad input gives one line and the right status", "[runtime][cli]") {
  const TemporaryFile model(elastify_test::tiny_artifact_with_tokenizer().build());
  const TemporaryFile foreign(bytes_of("this is no artifact"));
  const TemporaryFile empty(std::vector<unsigned char>{});
  const std::string file = model.path().string();
  const std::pair<std::string, int> cases[] = {
      {"", 2},
      {"--help", 0},
      {"generate --help", 0},
      {"generate " + file, 2},
      {"generate " + file + " --prompt ''", 2},
      {"nonsense --help", 2},
      {"--version", 0},
      {"generate " + file + " --prompt a --prompt-file b", 2},
      {"generate " + file + " --prompt-file /nonexistent", 3},
      {"generate " + file + " --prompt-file /", 3},
      {"generate " + file + " --prompt a --level 0x32", 2},
      {"generate " + file + " --prompt a --seed -1", 2},
      {"generate " + file + " --prompt a --seed 100000000000000000000", 2},
      {"generate " + file + " --prompt a --temperature ''", 2},
      {"generate " + file + " --prompt a --temperature nan", 2},
      {"score " + file + " --text-file /", 3},
      {"bench " + file + " --levels 20,,50", 2},
      {"replay " + file + " --requests /", 3},
      {"generate " + file + " --prompt a --level 33", 2},
      {"generate " + file + " --prompt a --temperature -1", 2},
      {"generate " + file + " --prompt a --nonsense", 2},
      {"generate " + file + " --prompt " + std::string(100, '!'), 2},
      {"generate /nonexistent --prompt a", 3},
      {"generate " + foreign.path().string() + " --prompt a", 3},
      {"score " + file + " --text-file /nonexistent", 3},
      {"score " + file + " --text-file " + empty.path().string(), 3},
      {"score " + file + " --text-file " + foreign.path().string() + " --context 1", 2},
      {"score " + file + " --text-file " + foreign.path().string() + " --context 100000", 2},
      {"generate " + file + " --prompt a --kv-type f64", 2},
      {"generate " + file + " --prompt a --draft-level 33", 2},
      {"generate " + file + " --prompt a --draft-level 20 --draft-tokens 0", 2},
      {"generate " + file + " --prompt a --threads 5000", 2},
      {"score " + file + " --text-file " + foreign.path().string() + " --level 100 --first-level 20 --kv-policy reuse",
       2},
      {"score " + file + " --text-file " + foreign.path().string() + " --kv-policy reuse", 2},
      {"score " + file + " --text-file " + foreign.path().string() + " --first-level 33", 2},
      {"bench " + file + " --levels 50 --draft-levels 50", 2},
      {"bench " + file + " --levels 33", 2},
      {"bench " + file + " --prompt-tokens 100", 2},
      {"bench " + file + " --prompt-tokens 60 --gen-tokens 60", 2},
      {"bench " + foreign.path().string(), 3},
      {"generate " + file + " --prompt a --ttft 0.5", 2},
      {"generate " + file + " --prompt a --tpot-ms 5", 2},
      {"generate " + file + " --prompt a --ttft 0.5 --tpot-ms 5", 2},
      {"generate " + file + " --prompt a --ttft 0.5 --tpot 0.5 --level 50", 2},
      {"generate " + file + " --prompt a --ttft-ms 5 --tpot-ms 5 --level 50", 2},
      {"generate " + file + " --prompt a --ttft 0.5 --tpot 0.5 --ttft-ms 5 --tpot-ms 5", 2},
      {"generate " + file + " --prompt a --ttft nan --tpot 0.5", 2},
      {"generate " + file + " --prompt a --ttft 0.5 --tpot 0.5 --fallback worst", 2},
      {"generate " + file + " --prompt a --margin 0.5", 2},
      {"calibrate /nonexistent", 3},
      {"calibrate " + foreign.path().string(), 3},
      {"calibrate " + file + " --out /nonexistent/table.json", 2},
      {"calibrate " + file + " --out /", 2},
      {"calibrate " + file + " --repeats 0", 2},
      {"calibrate " + file + " --lengths 8,4", 2},
      {"calibrate " + file + " --lengths 65", 2},
      {"calibrate --help", 0},
  };
  for (const auto& [arguments, status] : cases) {
    INFO(arguments);
    CHECK(run(arguments).status == status);
  }
  const Outcome message = run("generate " + file + " --prompt " + std::string(100, '!'), "2>&1");
  CHECK(message.out.find("101 tokens") != std::string::npos);
  CHECK(std::count(message.out.begin(), message.out.end(), '\n') == 1);
}

TEST_CASE("a prompt and a text come from files and from standard input", "[runtime][cli]") {
  const TemporaryFile model(elastify_test::tiny_artifact_with_tokenizer().build());
  const TemporaryFile prompt(bytes_of("ab c"));
  const std::string generate =
      "generate " + model.path().string() + " --max-tokens 012 --ignore-eos --level 050 --json ";
  const auto tokens = [&](const std::string& options, const std::string& redirect = "2>/dev/null") {
    return json::parse(run(generate + options, redirect).out)["tokens"];
  };
  const json expected = tokens("--prompt 'ab c'");
  CHECK(expected.size() == 12);  // in the decimal system
  CHECK(tokens("--prompt-file " + prompt.path().string()) == expected);
  CHECK(tokens("--prompt-file -", "<" + prompt.path().string()) == expected);
  const TemporaryFile marked(
      bytes_of("\xef\xbb\xbf"
               "ab cab c")),
      plain(bytes_of("ab cab c"));
  const auto score = [&](const std::string& name, const std::string& redirect = "") {
    return run("score " + model.path().string() + " --json --text-file " + name, redirect).out;
  };
  CHECK(score(marked.path().string()) == score(plain.path().string()));
  CHECK(score("-", "<" + plain.path().string()) == score(plain.path().string()));
  const Outcome folder = run("score " + model.path().string() + " --text-file /tmp", "2>&1");
  CHECK(folder.out == "elastic-run: /tmp is a folder: expected a file; name one in it\n");
}

TEST_CASE("what cannot be written is an error, once", "[runtime][cli]") {
  const TemporaryFile model(elastify_test::tiny_artifact_with_tokenizer().build());
  const TemporaryFile text(bytes_of("ab cab c"));
  const std::string file = model.path().string();
  for (const std::string& command :
       {"score " + file + " --text-file " + text.path().string(),
        "score " + file + " --json --text-file " + text.path().string(),
        "generate " + file + " --prompt ab --max-tokens 3", "generate " + file + " --prompt ab --max-tokens 3 --json",
        "bench " + file + " --gen-tokens 2 --repeats 1 --json", std::string("--help"),
        std::string("generate --help")}) {
    INFO(command);
    const Outcome full = run(command, "2>&1 >/dev/full | grep -v measur");
    CHECK(full.out.starts_with("elastic-run: cannot write the result to stdout: "));
    CHECK(std::count(full.out.begin(), full.out.end(), '\n') == 1);
    CHECK(run(command, ">/dev/full 2>/dev/null").status == 1);
  }
  // A reader that has gone: `true` ends before the program begins.
  const TemporaryFile status(bytes_of(""));
  const std::string program = std::string(ELASTIFY_BIN_DIR) + "/elastic-run generate " + file + " --prompt ab";
  REQUIRE(std::system(("{ sleep 0.3; " + program + " 2>/dev/null; echo $? >" + status.path().string() + "; } | true")
                          .c_str()) == 0);
  int ended = -1;
  std::ifstream(status.path()) >> ended;
  CHECK(ended == 1);
}

TEST_CASE("replay counts objectives of many requests and checks answers", "[runtime][unit]") {
  const Calibrated calibrated;
  const std::string line =
      R"({"family": "F", "context": "ab cab c", "question": "ab", "slo": [TTFT, TPOT], "options": ["zzz", "ab"], "answer": 0})";
  const auto with_slo = [&](std::string family, std::string ttft, std::string tpot) {
    std::string text = line;
    for (const auto& [name, value] :
         {std::pair{std::string("F"), family}, {std::string("TTFT"), ttft}, {std::string("TPOT"), tpot}}) {
      const auto at = text.find(name == "F" ? "\"F\"" : name) + (name == "F" ? 1 : 0);
      text.replace(at, name.size(), value);
    }
    return text + "\n";
  };
  const auto replay = [&](const std::string& lines, const std::string& options) {
    const TemporaryFile trace(std::vector<unsigned char>(lines.begin(), lines.end()));
    return run(
        "replay " + calibrated.file + " --threads 1 --max-tokens 4 --requests " + trace.path().string() + " " + options,
        "2>&1");
  };
  // The table's times are seconds: every feasible request is met. A share of 0.01 is not feasible, that of level 20 is
  // 0.25.
  const std::string lines =
      with_slo("easy", "1", "1") + "\n" + with_slo("easy", "0.6", "0.6") + with_slo("hard", "0.01", "0.01");
  const Outcome served = replay(lines, "--no-tlm --json");
  INFO(served.out);
  REQUIRE(served.status == 0);
  const json result = json::parse(served.out);
  CHECK(result["kinds"]["easy"]["requests"] == 2);
  CHECK(result["kinds"]["easy"]["feasible"] == 2);
  CHECK(result["kinds"]["easy"]["met_of_possible"] == 2);
  CHECK(result["kinds"]["hard"]["feasible"] == 0);
  CHECK(result["all"]["requests"] == 3);
  CHECK(result["all"]["checked"] == 3);
  CHECK(result["all"]["right"] == 0);
  CHECK(result["all"]["sources"] == json({{"full", 1}, {"fallback", 1}, {"fastest", 1}}));
  CHECK(result["all"]["mean_level"] == (100 + 50 + 20) / 3.0);
  CHECK(result["all"]["mean_decode_level"] == (100 + 50 + 20) / 3.0);
  CHECK(result["all"]["mean_prompt_level"] == 100);
  const json phases = json::parse(replay(with_slo("easy", "1", "0.3"), "--no-tlm --json").out);
  CHECK(phases["all"]["mean_level"] == 100);
  CHECK(phases["all"]["mean_decode_level"] == 20);
  CHECK(json::parse(replay(with_slo("easy", "1", "0.3"), "--no-tlm --one-level --json").out)["all"]["mean_level"] ==
        20);
  CHECK(result["all"]["predicted_ttft_ms"]["median"].get<double>() == Approx(2000));
  CHECK(result["all"]["ttft_measured_over_predicted"]["p95"].get<double>() < 1);
  CHECK(json::parse(replay(lines, "--no-tlm --json --count 7").out)["all"]["requests"] == 7);
  CHECK(replay(lines, "--no-tlm").out.find("| all | 3 | 2 | 100.0 %") != std::string::npos);

  const json published =
      json::parse(replay(R"([["ab cab c?", ["zzz", "ab"], "B", [0.6, 0.6], 0.1, "arc"]])", "--no-tlm --json").out);
  CHECK(published["kinds"]["arc"]["checked"] == 1);
  CHECK(json::parse(replay(R"({"question": "ab"})", "--no-tlm --json").out)["all"]["checked"] == 0);

  const Outcome malformed = replay(with_slo("easy", "1", "1") + "{\"context\": \"ab\"}\n", "--no-tlm");
  CHECK(malformed.status == 3);
  CHECK(malformed.out.find(" line 2: question is missing") != std::string::npos);
  CHECK(replay("\n", "--no-tlm").status == 3);
  const Outcome refused = replay(with_slo("easy", "1", "1") + with_slo("easy", "0", "1"), "--no-tlm");
  CHECK(refused.status == 3);
  CHECK(refused.out.find(" line 2: slo: expected shares above 0") != std::string::npos);
  for (const char* answer : {"0.9", "-1", "2", "\"ab\""}) {
    std::string bad = with_slo("easy", "1", "1");
    bad.replace(bad.find("\"answer\": 0") + 10, 1, answer);
    const Outcome outcome = replay(bad, "--no-tlm");
    INFO(outcome.out);
    CHECK(outcome.status == 3);
    CHECK(outcome.out.find(" line 1: answer: expected") != std::string::npos);
    CHECK(std::count(outcome.out.begin(), outcome.out.end(), '\n') == 1);
  }
}
