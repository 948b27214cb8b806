// What every program of the toolchain does with its command line, its output and the folders it fills.
#include <catch2/catch.hpp>

#include <algorithm>
#include <regex>
#include <set>

#include "cli/run_command.h"
#include "unit/runtime/tiny_tokenizer.h"

using elastify_test::Outcome;
using elastify_test::read_bytes;
using elastify_test::run_command;
using elastify_test::TempDir;
using elastify_test::TemporaryFile;
using elastify_test::write_bytes;
namespace fs = std::filesystem;

namespace {

constexpr char kShape[] =
    R"({"model_type": "llama", "vocab_size": 300, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
        "rope_theta": 10000, "tie_word_embeddings": true, "torch_dtype": "float32"})";

bool one_line(const std::string& text) { return std::count(text.begin(), text.end(), '\n') == 1; }

void fails(const std::string& program, const std::string& arguments, int status,
           std::initializer_list<const char*> words, const std::string& prefix = "") {
  const Outcome outcome = run_command(program, arguments, prefix);
  INFO(program << " " << arguments << ": " << outcome.err);
  CHECK(outcome.status == status);
  CHECK(one_line(outcome.err));
  for (const char* word : words) CHECK_THAT(outcome.err, Catch::Matchers::Contains(word));
}

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

}  // namespace

TEST_CASE("an unknown command ends with 2 and says which exist", "[cli]") {
  for (const char* help : {"", " --help"}) {
    fails("elastify", std::string("nonsense") + help, 2, {"nonsense", "build", "inspect"});
    fails("elastify-suite", std::string("nonsense") + help, 2, {"nonsense", "tasks", "pretrain"});
    fails("elastic-run", std::string("nonsense") + help, 2, {"nonsense", "generate", "bench"});
  }
}

TEST_CASE("every program states its version", "[cli]") {
  for (const std::string program : {"elastify", "elastify-suite", "elastic-run"}) {
    const Outcome outcome = run_command(program, "--version");
    CHECK(outcome.status == 0);
    CHECK(std::regex_match(outcome.out, std::regex(program + " [0-9]+\\.[0-9]+\\.[0-9]+\n")));
  }
}

TEST_CASE("a result that does not arrive is an error in every program", "[cli]") {
  for (const std::string program : {"elastify", "elastify-suite", "elastic-run"}) {
    const std::string run = ELASTIFY_BIN_DIR "/" + program;
    const TempDir dir;
    const auto status = [&](const std::string& command) {
      const int raw = std::system((command + " 2>" + (dir / "err").string()).c_str());
      const std::string err = read_bytes(dir / "err");
      INFO(command << ": " << err);
      CHECK(one_line(err));
      CHECK_THAT(err, Catch::Matchers::Contains("cannot write the result"));
      return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
    };
    CHECK(status(run + " --help >/dev/full") == 1);
    CHECK(status(run + " --version >/dev/full") == 1);
    CHECK(status(run + " --help >&-") == 1);
  }
}

TEST_CASE("completion knows every command and option", "[cli]") {
  for (const std::string program : {"elastify", "elastify-suite", "elastic-run"}) {
    const fs::path script = fs::path(ELASTIFY_BIN_DIR).parent_path() / "completions" / program;
    REQUIRE(fs::exists(script));
    const auto complete = [&](const std::string& words) {
      const TempDir dir;
      const std::string line =
          "words=(" + words + "); source " + script.string() +
          "; COMP_WORDS=(\"${words[@]}\" ''); COMP_CWORD=${#words[@]}; [[ ${#words[@]} -gt 1 ]] && "
          "{ COMP_WORDS[COMP_CWORD]=--; }; $(complete -p " +
          program + " | sed 's/.*-F \\([^ ]*\\).*/\\1/'); printf '%s\\n' \"${COMPREPLY[@]}\"";
      const std::string command =
          "bash -c '" + std::regex_replace(line, std::regex("'"), "'\\''") + "' >" + (dir / "out").string();
      REQUIRE(std::system(command.c_str()) == 0);
      std::set<std::string> found;
      std::istringstream out(read_bytes(dir / "out"));
      for (std::string word; out >> word;) found.insert(word);
      return found;
    };
    const auto long_options = [](const std::string& help) {
      std::set<std::string> options;
      const std::regex option("(^|,| )(--[a-z0-9-]+)");
      // The list of options only: examples follow it, and Needs and Excludes name others that are in it anyway.
      std::istringstream lines(help);
      for (std::string line; std::getline(lines, line);) {
        std::smatch match;
        if (line.starts_with("  -") && std::regex_search(line, match, option)) options.insert(match[2]);
      }
      return options;
    };
    const std::set<std::string> top = complete(program);
    for (const auto& option : long_options(run_command(program, "--help").out)) CHECK(top.contains(option));
    int commands = 0;
    for (const std::string& command : top) {
      if (command.starts_with("-")) continue;
      ++commands;
      const std::set<std::string> offered = complete(program + " " + command);
      INFO(program << " " << command);
      const auto expected = long_options(run_command(program, command + " --help").out);
      CHECK(expected.size() >= 2);
      for (const auto& option : expected) {
        INFO(option);
        CHECK(offered.contains(option));
      }
    }
    CHECK(commands >= 3);
  }
}

TEST_CASE("every command's help has an example", "[cli]") {
  for (const std::string program : {"elastify", "elastify-suite", "elastic-run"}) {
    const std::string script = read_bytes(fs::path(ELASTIFY_BIN_DIR).parent_path() / "completions" / program);
    std::smatch match;
    REQUIRE(std::regex_search(script, match, std::regex("'\'\\) words='([^']*)")));
    std::istringstream words(match[1]);
    for (std::string command; words >> command && !command.starts_with("-");) {  // options follow the commands
      INFO(program << " " << command);
      CHECK_THAT(run_command(program, command + " --help").out, Catch::Matchers::Contains("Example"));
    }
  }
}

TEST_CASE("random fills a new folder, whatever its name looks like", "[cli]") {
  const TempDir dir;
  write_bytes(dir / "shape.json", kShape);
  const std::string shape = (dir / "shape.json").string(), go = "cd " + dir.path().string() + " && ";
  const std::set<std::string> made = {".elastify", "config.json", "model.safetensors", "tokenizer.json",
                                      "tokenizer_config.json"};
  for (int again = 0; again < 2; ++again) {
    const Outcome outcome = run_command("elastify", "random " + shape + " --out new/", go);
    INFO(outcome.err);
    CHECK(outcome.status == 0);
    CHECK(names_in(dir / "new") == made);
  }
  fs::create_directory(dir / "here");
  CHECK(run_command("elastify", "random " + shape + " --out .", go + "cd here && ").status == 0);
  CHECK(names_in(dir / "here") == made);
}

TEST_CASE("random removes nothing that it did not make", "[cli]") {
  const TempDir dir;
  write_bytes(dir / "shape.json", kShape);
  fs::create_directories(dir / "mine/inner");
  write_bytes(dir / "mine/keep.txt", "mine");
  const std::string shape = (dir / "shape.json").string(), go = "cd " + (dir / "mine").string() + " && ";
  for (const char* named : {".", "./", "../mine", "inner/.."})
    fails("elastify", "random " + shape + " --out " + named, 2, {"in the way"}, go);
  fails("elastify", "random " + shape + " --out ..", 2, {"in the way"}, "cd " + (dir / "mine/inner").string() + " && ");
  fails("elastify", "random " + shape + " --out keep.txt", 2, {"keep.txt", "expected a folder"}, go);
  CHECK(read_bytes(dir / "mine/keep.txt") == "mine");
  CHECK(names_in(dir / "mine") == std::set<std::string>{"inner", "keep.txt"});
}

TEST_CASE("tasks replaces its own files only", "[cli]") {
  const TempDir dir;
  const std::string bank = " --bank " ELASTIFY_SOURCE_DIR "/datasets/tasks --train 1 --validation 1 --test 1 --out ";
  write_bytes(dir / "test.jsonl", "mine");
  fails("elastify-suite", "tasks" + bank + dir.path().string() + "/", 2, {"test.jsonl", "in the way"});
  CHECK(read_bytes(dir / "test.jsonl") == "mine");
  for (int again = 0; again < 2; ++again)
    CHECK(run_command("elastify-suite", "tasks" + bank + (dir / "made").string() + "/").status == 0);
  CHECK(names_in(dir / "made") == std::set<std::string>{".elastify", "test.jsonl", "train.jsonl", "validation.jsonl"});
}

TEST_CASE("eval refuses numbers, folders and charts that mean nothing", "[cli]") {
  const TempDir dir;
  const TemporaryFile model(elastify_test::tiny_artifact_with_tokenizer().build());
  write_bytes(dir / "w.txt", "ab c ab c");
  write_bytes(dir / "t.jsonl", R"({"question": "a?", "options": ["b", "c"], "answer": 1})");
  const std::string text = "eval " + model.path().string() + " --text " + (dir / "w.txt").string(),
                    tasks = "eval " + model.path().string() + " --tasks " + (dir / "t.jsonl").string();
  fails("elastify", text + " --threads -1", 2, {"--threads", "0 to 1024", "-1"});
  fails("elastify", text + " --limit-tokens -5", 2, {"--limit-tokens", "-5"});
  fails("elastify", text + " --levels 050,0x64", 2, {"--levels", "0x64"});
  fails("elastify", text + " --levels 4294967316", 2, {"--levels"});
  fails("elastify", tasks + " --seed -1", 2, {"--seed"});
  fails("elastify", tasks + " --plot /tmp", 2, {"/tmp", "folder"});
  fails("elastify", tasks + " --plot /nonexistent/x.svg", 2, {"/nonexistent/x.svg"});
  fails("elastify", "eval " + model.path().string() + " --text " + dir.path().string(), 3, {"is a folder"});
  CHECK(run_command("elastify", text + " --levels 050 --threads 01").status == 0);
}

TEST_CASE("eval reads texts by one set of rules", "[cli]") {
  using namespace std::string_literals;
  const TempDir dir;
  const TemporaryFile model(elastify_test::tiny_artifact_with_tokenizer().build());
  const auto eval = [&](const std::string& name, const std::string& bytes) {
    write_bytes(dir / name, bytes);
    return run_command("elastify",
                       "eval " + model.path().string() + " --levels 20 --json --text " + (dir / name).string());
  };
  const std::string record = R"({"text": "ab c ab c"})";
  const std::string plain = eval("a.txt", "ab c ab c").out;
  REQUIRE_FALSE(plain.empty());
  for (const char* name : {"a.jsonl", "a.JSONL", "a.ndjson"}) CHECK(eval(name, record).out == plain);
  CHECK(eval("bom.txt",
             "\xef\xbb\xbf"
             "ab c ab c")
            .out == plain);
  CHECK(eval("bom.jsonl", "\xef\xbb\xbf" + record).out == plain);
  CHECK(eval("bom.json", "\xef\xbb\xbf[" + record + "]").out == plain);
  for (const char* name : {"a.csv", "a.TSV"}) {
    const Outcome table = eval(name, record);
    CHECK(table.status == 3);
    CHECK_THAT(table.err, Catch::Matchers::Contains("table"));
  }
  const Outcome wide = eval("wide.txt", "\xff\xfeO\0n\0"s);
  CHECK(wide.status == 3);
  CHECK_THAT(wide.err, Catch::Matchers::Contains("UTF-16"));
}
