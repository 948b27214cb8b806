// elastic-run chat and generate --chat, as whole programs.
#include <sys/wait.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "unit/chat/chat_model.h"

namespace {

using namespace elastify_test;
using Catch::Matchers::Contains;
using nlohmann::json;

struct Outcome {
  int status = -1;
  std::string out;
};

Outcome shell(const std::string& command) {
  Outcome outcome;
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> buffer;
  for (std::size_t n; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) outcome.out.append(buffer.data(), n);
  const int status = pclose(pipe);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

const std::string kRun = std::string(ELASTIFY_BIN_DIR) + "/elastic-run ";

// Of `input`'s lines, in printf's notation.
Outcome chat(const std::string& file, const std::string& input, const std::string& options,
             const std::string& redirect = "2>/dev/null") {
  return shell("printf '" + input + "' | " + kRun + "chat " + file + " --threads 1 " + options + " " + redirect);
}

std::vector<json> lines(const std::string& text) {
  std::vector<json> all;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) all.push_back(json::parse(line));
  return all;
}

}  // namespace

TEST_CASE("chat answers each line of a pipe, and each answer reads what is new", "[chat][cli]") {
  const TemporaryFile model(chat_artifact().build());
  const std::string file = model.path().string();
  const Outcome made = chat(file, "ab\\ncab\\n/level 50\\nc\\n", "--json --max-tokens 5 --system ab");
  REQUIRE(made.status == 0);
  const auto answers = lines(made.out);
  REQUIRE(answers.size() == 3);
  CHECK(answers[0]["cached_tokens"] == 0);
  CHECK(answers[1]["cached_tokens"] > 0);
  CHECK(answers[1]["cached_tokens"].get<int>() + answers[1]["read_tokens"].get<int>() == answers[1]["prompt_tokens"]);
  CHECK(answers[2]["level"] == 50);
  CHECK(answers[2]["cached_tokens"] == 0);
  for (const char* field : {"text", "tokens", "finish_reason", "ttft_ms", "tpot_ms", "slo", "slo_met"})
    CHECK(answers[0].contains(field));
  // The first answer is that of generate --chat.
  const Outcome alone =
      shell(kRun + "generate " + file + " --chat --system ab --prompt ab --max-tokens 5 --json --threads 1");
  CHECK(json::parse(alone.out)["tokens"] == answers[0]["tokens"]);
  CHECK(json::parse(alone.out)["prompt_tokens"] == answers[0]["prompt_tokens"]);
  // The last line may lack its end; an empty one is none; """ holds several.
  CHECK(lines(chat(file, "ab", "--json --max-tokens 2").out).size() == 1);
  CHECK(lines(chat(file, "\\n\\nab\\n\\n", "--json --max-tokens 2").out).size() == 1);
  CHECK(lines(chat(file, "\"\"\"\\nab\\n/level 7\\n\"\"\"\\n", "--json --max-tokens 2").out).size() == 1);
  CHECK(chat(file, "", "--json").status == 0);
}

TEST_CASE("commands of a conversation do what /help says", "[chat][cli]") {
  const TemporaryFile model(chat_artifact().build());
  const std::string file = model.path().string(), saved = file + ".chat.json";
  const Outcome made =
      chat(file,
           "ab\\n/history\\n/save " + saved + "\\n/reset\\n/history\\n/system c\\n/history\\n//help\\n/exit\\nnever\\n",
           "--json --max-tokens 3 --system a");
  REQUIRE(made.status == 0);
  const auto out = lines(made.out);
  REQUIRE(out.size() == 5);
  CHECK(out[1].size() == 3);
  CHECK(out[1][0] == json({{"role", "system"}, {"content", "a"}}));
  CHECK(out[2].size() == 1);
  CHECK(out[3][0]["content"] == "c");
  const json kept = json::parse(std::ifstream(saved));
  CHECK(kept == out[1]);
  const auto resumed = lines(chat(file, "/history\\n", "--json --messages " + saved).out);
  REQUIRE(resumed.size() == 1);
  CHECK(resumed[0] == kept);
  std::ofstream(saved) << R"([{"role": "user", "content": "ab"}])";  // what waits for an answer gets it
  CHECK(lines(chat(file, "", "--json --max-tokens 3 --messages " + saved).out).size() == 1);
  std::remove(saved.c_str());
  CHECK_THAT(chat(file, "/help\\n", "", "2>&1").out, Contains("/level") && Contains("/slo") && Contains("/reset"));
  CHECK_THAT(chat(file, "/level\\n", "", "2>&1").out, Contains("level 100 of 20, 50, 100"));
}

TEST_CASE("what goes wrong in a conversation is one line and the right status", "[chat][cli]") {
  const TemporaryFile model(chat_artifact().build()), plain(tiny_artifact_with_tokenizer().build());
  const std::string raising =
      "{% if messages[0].role == 'system' %}{{ raise_exception('No system messages here') }}{% endif %}{{ "
      "messages[0].content }}";
  const TemporaryFile strict(chat_artifact(chat_tokenizer(raising)).build());
  const std::string file = model.path().string();
  const auto check = [](const Outcome& made, int status, const std::string& words) {
    INFO(made.out);
    CHECK(made.status == status);
    CHECK_THAT(made.out, Contains(words));
    CHECK(std::count(made.out.begin(), made.out.end(), '\n') == 1);
  };
  check(chat(plain.path().string(), "a\\n", "", "2>&1"), 3, "no chat template");
  check(shell(kRun + "generate " + plain.path().string() + " --chat --prompt a 2>&1"), 3, "no chat template");
  check(chat(strict.path().string(), "a\\n", "--system b", "2>&1"), 2, "No system messages here");
  CHECK(chat(strict.path().string(), "a\\n", "--max-tokens 2").status == 0);
  check(chat(file, "/nothing\\n", "", "2>&1"), 2, "/nothing");
  check(chat(file, "/level 33\\n", "", "2>&1"), 2, "33");
  check(chat(file, "/level x\\n", "", "2>&1"), 2, "\"x\"");
  check(chat(file, "/slo 2 3\\n", "", "2>&1"), 2, "objective");
  check(chat(file, "/slo 0.5 0.5\\n", "", "2>&1"), 2, "latency table");
  check(chat(file, "a\\377\\n", "", "2>&1"), 2, "UTF-8");
  check(chat(file, "", "--system a --messages b", "2>&1"), 2, "--messages");
  check(chat(file, "", "--messages /nowhere", "2>&1"), 3, "/nowhere");
  check(shell(kRun + "generate " + file + " --system a --prompt a 2>&1"), 2, "--chat");
}

TEST_CASE("names of special tokens in a prompt are plain text, with and without --chat", "[chat][cli]") {
  const TemporaryFile model(chat_artifact().build());
  const auto count = [&](const std::string& options) {
    const Outcome made =
        shell(kRun + "generate " + model.path().string() + " --max-tokens 1 --json --threads 1 " + options);
    REQUIRE(made.status == 0);
    return json::parse(made.out)["prompt_tokens"].get<int>();
  };
  // Each byte of the marker is a token, and the beginning of the text one more.
  CHECK(count("--prompt '<|im_end|>'") == 11);
  CHECK(count("--chat --prompt '<|im_end|>'") == count("--chat --prompt ''") + 10);
}

TEST_CASE("an objective chooses the level of each answer by the table", "[chat][cli]") {
  const TemporaryFile model(chat_artifact().build());
  const std::string file = model.path().string(), table = file + ".latency.json";
  REQUIRE(shell(kRun + "calibrate " + file + " --threads 1 --repeats 1 --max-tokens 32 2>/dev/null").status == 0);
  json content = json::parse(std::ifstream(table));
  content["tokens"] = {10, 1000};
  for (std::size_t i = 0; i < 3; ++i) {
    const double full = i == 0 ? 1000 : i == 1 ? 2000 : 4000;
    content["levels"][i]["ttft_ms"] = {full, full * 100};
    content["levels"][i]["tpot_ms"] = {full / 10, full / 10};
  }
  std::ofstream(table) << content.dump();
  const auto levels = [&](const std::string& input, const std::string& options) {
    std::vector<int> all;
    for (const json& answer : lines(chat(file, input, "--json --max-tokens 3 " + options).out))
      all.push_back(answer["level"]);
    return all;
  };
  CHECK(levels("a\\nb\\n", "--slo 1,1") == std::vector<int>{100, 100});
  CHECK(levels("a\\n/slo 0.6 0.6\\nb\\n/slo off\\n/level 100\\nc\\n", "") == std::vector<int>{100, 50, 100});
  CHECK(levels("a\\n", "--slo 0.3,0.3") == std::vector<int>{20});
  CHECK(levels("a\\n", "--slo 1,0.6") == std::vector<int>{50});
  CHECK(levels("a\\n", "--slo 100000000ms,150ms") == std::vector<int>{20});
  const auto answer = lines(chat(file, "a\\n", "--json --max-tokens 3 --slo 1ms,1ms").out).at(0);
  CHECK(answer["feasible"] == false);
  CHECK(answer["level"] == 20);
  CHECK(shell(kRun + "generate " + file + " --chat --prompt a --ttft 0.6 --tpot 0.6 --max-tokens 3 --threads 1 --json")
            .status == 0);
  std::remove(table.c_str());
}

TEST_CASE("Ctrl-C ends the answer and not the program", "[chat][cli]") {
  elrt::TokenizerSpec endless = chat_tokenizer("{% for m in messages %}{{ m.content }}{% endfor %}");
  endless.eos_id = -1;
  const TemporaryFile model(chat_artifact(endless, 1 << 20).build());
  const std::string file = model.path().string(), fifo = file + ".fifo", out = file + ".out", err = file + ".err";
  const auto until = [](const std::string& condition) {
    return "n=0; until " + condition + " || [ $n -gt 300 ]; do sleep 0.1; n=$((n+1)); done; ";
  };
  const std::string script = "mkfifo " + fifo + "; " + kRun + "chat " + file + " --threads 1 --max-tokens 1000000 <" +
                             fifo + " >" + out + " 2>" + err + " & pid=$!; exec 3>" + fifo + "; echo ab >&3; " +
                             until("[ -s " + out + " ]") + "kill -INT $pid; " + until("grep -q stopped " + err) +
                             "echo /history >&3; exec 3>&-; wait $pid; echo status $?";
  const Outcome made = shell("bash -m -c '" + script + "' 2>/dev/null");
  INFO(made.out);
  CHECK_THAT(made.out, Contains("status 0"));
  const auto contents = [](const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  };
  CHECK_THAT(contents(err), Contains("(stopped)"));
  CHECK_THAT(contents(out), Contains("user: ab") && Contains("assistant: "));
  for (const std::string& path : {fifo, out, err}) std::remove(path.c_str());
}
