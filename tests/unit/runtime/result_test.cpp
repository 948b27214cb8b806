#include "elrt/result.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>

using elrt::Result;

namespace {

struct End {
  int signal = 0;      // 0: the child exited
  std::string output;  // of its standard error
};

// Runs `body` in a child process, as it is expected to end it.
template <typename Body>
End run_apart(Body&& body) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::signal(SIGABRT, SIG_DFL);  // Catch2 would report it as a failed case
    ::dup2(ends[1], STDERR_FILENO);
    body();
    ::_exit(0);
  }
  ::close(ends[1]);
  End end;
  char buffer[512];
  for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    end.output.append(buffer, static_cast<std::size_t>(n));
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  return end;
}

template <typename Body>
void stops_with(const std::string& message, Body&& body) {
  const End end = run_apart(body);
  CHECK(end.signal == SIGABRT);
  CHECK(end.output.find(message) != std::string::npos);
}

}  // namespace

// In every build type, so that the release build is the one that matters here: assert() is nothing there.
TEST_CASE("reading the value of a failure stops the program with its message", "[runtime][unit]") {
  const auto failed = [] { return Result<std::string>(elrt::bad_data("the file is torn; fetch it again")); };
  stops_with("the file is torn; fetch it again", [&] { (void)failed().value(); });
  stops_with("the file is torn; fetch it again", [&] {
    auto kept = failed();
    (void)kept.value();
  });
  stops_with("the file is torn; fetch it again", [&] {
    const auto kept = failed();
    (void)kept.value();
  });
  stops_with("the file is torn; fetch it again", [&] { (void)failed()->size(); });
  stops_with("the disk is full", [] { Result<void>(elrt::internal_error("the disk is full")).value(); });
}

TEST_CASE("reading the failure of a success stops the program", "[runtime][unit]") {
  stops_with("holds a value", [] { (void)Result<int>(1).failure(); });
  stops_with("holds a value", [] { (void)Result<int>(1).take_failure(); });
  stops_with("holds a value", [] { (void)Result<void>().failure(); });
}

TEST_CASE("the right side of a Result is read as it was put in", "[runtime][unit]") {
  CHECK(Result<int>(7).value() == 7);
  Result<std::unique_ptr<int>> moved(std::make_unique<int>(3));
  CHECK(*std::move(moved).value() == 3);
  Result<void>().value();
  CHECK(Result<int>(elrt::bad_data("x")).failure().message == "x");
}
