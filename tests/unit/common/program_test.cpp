// The frame of every program: what it takes, what it says, how it ends.
#include "common/program.hpp"

#include <catch2/catch.hpp>

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "common/option_checks.hpp"

using namespace common;

namespace {

struct Outcome {
  int status = -1;
  std::string out, err;
};

// Streams of this process, caught for one run.
class Caught {
 public:
  explicit Caught(std::ostream& stream) : stream_(stream), before_(stream.rdbuf(text_.rdbuf())) {}
  ~Caught() { stream_.rdbuf(before_); }
  Caught(const Caught&) = delete;
  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::ostream& stream_;
  std::streambuf* before_;
};

// What this process writes to the descriptor of stderr.
class CaughtErrors {
 public:
  CaughtErrors() : file_(std::tmpfile()), before_(::dup(STDERR_FILENO)) { ::dup2(::fileno(file_), STDERR_FILENO); }
  ~CaughtErrors() {
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
    std::fclose(file_);
  }
  CaughtErrors(const CaughtErrors&) = delete;
  std::string text() const {
    std::string text(4096, '\0');
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::pread(::fileno(file_), text.data(), text.size(), 0))));
    return text;
  }

 private:
  std::FILE* file_;
  int before_;
};

struct Values {
  std::uint32_t level = 100;
  std::uint64_t seed = 1;
  std::int64_t limit = 0;
  double share = 0;
  std::vector<std::int64_t> levels;
  std::string word = "one";
};

Outcome run(
    std::vector<std::string> arguments, Values& values, const std::function<void()>& work = [] {}) {
  const auto register_commands = [&](CLI::App& app) {
    CLI::App* make = app.add_subcommand("make", "make it");
    make->add_option("--level", values.level);
    make->add_option("--seed", values.seed);
    make->add_option("--limit", values.limit)->check(at_least(0));
    make->add_option("--share", values.share)->check(in_range(0, 1));
    make->add_option("--levels", values.levels)->delimiter(',');
    make->add_option("--word", values.word)->check(one_of({"one", "two"}));
    make->callback(work);
    app.add_subcommand("take", "take it");
  };
  arguments.insert(arguments.begin(), "tool");
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  Outcome outcome;
  const Caught out(std::cout);
  const CaughtErrors err;
  outcome.status = run_program("tool", "A program.", register_commands, static_cast<int>(argv.size()), argv.data());
  outcome.out = out.text(), outcome.err = err.text();
  return outcome;
}

Outcome run(std::vector<std::string> arguments) {
  Values values;
  return run(std::move(arguments), values);
}

void refuses(std::vector<std::string> arguments, std::initializer_list<const char*> words) {
  const Outcome outcome = run(std::move(arguments));
  INFO(outcome.err);
  CHECK(outcome.status == 2);
  CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
  CHECK(outcome.err.starts_with("tool: "));
  for (const char* word : words) CHECK_THAT(outcome.err, Catch::Matchers::Contains(word));
}

}  // namespace

TEST_CASE("numbers of every option are read strictly", "[common][unit]") {
  Values values;
  const Outcome outcome = run({"make", "--level", "050", "--seed=18446744073709551615", "--limit", "010", "--share",
                               "0.5", "--levels", "020,100"},
                              values);
  INFO(outcome.err);
  CHECK(outcome.status == 0);
  CHECK(values.level == 50);
  CHECK(values.seed == UINT64_MAX);
  CHECK(values.limit == 10);
  CHECK(values.levels == std::vector<std::int64_t>{20, 100});
  refuses({"make", "--seed", "-1"}, {"--seed", "\"-1\""});
  refuses({"make", "--seed", "100000000000000000000"}, {"--seed"});
  refuses({"make", "--level", "0x10"}, {"--level", "0x10"});
  refuses({"make", "--level", "4294967297"}, {"--level", "4294967297"});
  refuses({"make", "--level="}, {"--level"});
  refuses({"make", "--limit", "-5"}, {"--limit", "from 0", "-5"});
  refuses({"make", "--share", ""}, {"--share"});
  refuses({"make", "--share", "nan"}, {"--share", "nan"});
  refuses({"make", "--share", "2"}, {"--share", "0 to 1"});
  refuses({"make", "--levels", "20,,50"}, {"--levels", "20,,50"});
  refuses({"make", "--levels", ""}, {"--levels"});
}

TEST_CASE("a wrong command line says what is expected", "[common][unit]") {
  refuses({"nonsense", "--help"}, {"\"nonsense\"", "make, take", "tool --help"});
  refuses({"nonsense"}, {"\"nonsense\"", "make, take"});
  refuses({}, {"expected a command", "make, take"});
  refuses({"make", "--word", "three"}, {"--word", "one, two", "three", "tool make --help"});
  refuses({"make", "--nothing", "3"}, {"--nothing", "tool make --help"});
  refuses({"make", "--level"}, {"--level needs a value"});
  refuses({"make", "--level", "1", "--level", "2"}, {"--level", "more often than once"});
}

TEST_CASE("help and version are results", "[common][unit]") {
  CHECK(run({"--version"}).out == "tool " ELASTIFY_VERSION "\n");
  CHECK_THAT(run({"--help"}).out, Catch::Matchers::Contains("make it"));
  CHECK(run({"make", "--help"}).status == 0);
}

TEST_CASE("exceptions of libraries speak our words", "[common][unit]") {
  Values values;
  const auto failing = [&](const std::function<void()>& work) { return run({"make"}, values, work); };
  const Outcome own = failing([] { fail_data("the file is {}", "damaged"); });
  CHECK(own.status == 3);
  CHECK(own.err == "tool: the file is damaged\n");
  const Outcome file = failing([] { return void(std::filesystem::file_size("/nonexistent/file")); });
  CHECK(file.status == 1);
  CHECK(file.err == "tool: cannot use /nonexistent/file: No such file or directory\n");
  const Outcome other = failing([] { throw std::runtime_error("basic_filebuf::underflow"); });
  CHECK(other.status == 1);
  CHECK_THAT(other.err, !Catch::Matchers::Contains("basic_filebuf"));
  CHECK(failing([] { throw std::bad_alloc(); }).status == 1);
}

TEST_CASE("a result that cannot be written is a failure", "[common][unit]") {
  Values values;
  const Outcome outcome = run({"make"}, values, [] { std::cout.setstate(std::ios::badbit); });
  std::cout.clear();
  CHECK(outcome.status == 1);
  CHECK_THAT(outcome.err, Catch::Matchers::Contains("cannot write the result"));
}
