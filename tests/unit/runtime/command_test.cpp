// The whole program: exit statuses, JSON fields, and what goes to which stream.
#include <sys/wait.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

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
  const Outcome again = run("generate " + file + " --prompt 'ab c' --level 50 --max-tokens 7 --ignore-eos --threads 2 --json");
  CHECK(json::parse(again.out)["tokens"] == result["tokens"]);
  const Outcome streamed = run("generate " + file + " --prompt 'ab c' --level 50 --max-tokens 7 --ignore-eos");
  CHECK(streamed.status == 0);
  CHECK(streamed.out == result["text"].get<std::string>() + "\n");
}

TEST_CASE("score and bench print the contract's fields", "[runtime][cli]") {
  const TemporaryFile model(elastify_test::tiny_artifact_with_tokenizer().build());
  const TemporaryFile text(bytes_of("ab cab c ab!"));
  const Outcome scored = run("score " + model.path().string() + " --level 20 --text-file " + text.path().string() + " --context 4 --json");
  REQUIRE(scored.status == 0);
  const json score = json::parse(scored.out);
  CHECK(score["tokens"].get<int>() > 3);
  CHECK(score["perplexity"].get<double>() == Approx(std::exp(score["nll"].get<double>())));
  const Outcome benched = run("bench " + model.path().string() + " --levels 20,100 --gen-tokens 4 --repeats 2 --json");
  REQUIRE(benched.status == 0);
  const json bench = json::parse(benched.out);
  REQUIRE(bench["levels"].size() == 2);
  for (const char* field : {"level", "prefill_tokens_per_s", "decode_tokens_per_s", "switch_us", "peak_rss_bytes"}) {
    CHECK(bench["levels"][1][field].get<double>() > 0);
  }
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
      {"bench " + file + " --levels 33", 2},
      {"bench " + file + " --prompt-tokens 100", 2},
      {"bench " + file + " --prompt-tokens 60 --gen-tokens 60", 2},
      {"bench " + foreign.path().string(), 3},
  };
  for (const auto& [arguments, status] : cases) {
    INFO(arguments);
    CHECK(run(arguments).status == status);
  }
  const Outcome message = run("generate " + file + " --prompt " + std::string(100, '!'), "2>&1");
  CHECK(message.out.find("101 tokens") != std::string::npos);
  CHECK(std::count(message.out.begin(), message.out.end(), '\n') == 1);
}
