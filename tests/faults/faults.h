// Runs programs of ours while the n-th call of one kind fails (inject.c), and says what must hold whatever fails.
#pragma once

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <sstream>
#include <string>

#include "cli/run_command.h"

namespace elastify_test {

struct FaultOutcome : Outcome {
  long calls = 0;  // of the kind, as far as the program came
};

// `number` 0: nothing fails, calls are counted.
inline FaultOutcome run_with_fault(const std::string& program, const std::string& arguments, const std::string& kind,
                                   long number) {
  const TempDir dir;
  const std::string count = (dir / "count").string();
  const std::string prefix = "LD_PRELOAD=" ELASTIFY_FAULTS " FAULT_KIND=" + kind +
                             " FAULT_AT=" + std::to_string(number) + " FAULT_COUNT=" + count;
  FaultOutcome outcome{run_command(program, arguments, prefix)};
  const std::string bytes = read_bytes(count);
  if (bytes.size() == sizeof(outcome.calls)) std::memcpy(&outcome.calls, bytes.data(), sizeof(outcome.calls));
  return outcome;
}

inline std::size_t lines_that_begin(const std::string& text, const std::string& words) {
  std::istringstream lines(text);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line);) count += line.starts_with(words) ? 1 : 0;
  return count;
}

// A status of the contract, and where it is a failure one line that says what failed; never a signal.
inline void check_ending(const std::string& program, const Outcome& outcome) {
  INFO("status " << outcome.status << ", stderr: " << outcome.err);
  CHECK(outcome.status >= 0);
  CHECK(outcome.status <= 3);
  CHECK(outcome.err.find("terminate") == std::string::npos);
  // OpenMP's own threads end the process themselves, with status 1 and a line of theirs.
  const bool openmp = outcome.status == 1 && outcome.err.find("libgomp: ") != std::string::npos;
  if (outcome.status != 0 && !openmp) CHECK(lines_that_begin(outcome.err, program + ": ") == 1);
}

// Every call of the kind fails once: all of them where ELASTIFY_FAULTS_ALL is set, else at most `most` spread evenly.
// `check` sees each run's outcome and may look at what it left. Returns how many faults there were.
inline long sweep(const std::string& program, const std::string& arguments, const std::string& kind, long most,
                  const std::function<void(const FaultOutcome&)>& check, const std::function<void()>& prepare = {}) {
  if (prepare) prepare();
  const FaultOutcome whole = run_with_fault(program, arguments, kind, 0);
  INFO(program << " " << arguments << ": " << whole.err);
  REQUIRE(whole.status == 0);
  const bool all = std::getenv("ELASTIFY_FAULTS_ALL") != nullptr;
  const long count = all ? whole.calls : std::min(most, whole.calls);
  for (long i = 0; i < count; ++i) {
    const long number = 1 + i * whole.calls / count;
    if (prepare) prepare();
    const FaultOutcome outcome = run_with_fault(program, arguments, kind, number);
    INFO(kind << " " << number << " of " << whole.calls << " fails");
    check_ending(std::filesystem::path(program).filename().string(), outcome);
    check(outcome);
  }
  return count;
}

}  // namespace elastify_test
