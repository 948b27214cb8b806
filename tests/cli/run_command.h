// Runs whole commands as a user would.
#pragma once

#include <sys/wait.h>

#include <cstdlib>
#include <string>

#include "support/temp_dir.h"

namespace elastify_test {

struct Outcome {
  int status = -1;  // exit status; 128 + signal where one ended it
  std::string out, err;
};

// Through the shell, so that tests can set limits: `prefix` comes before the program, e.g. "ulimit -f 100;".
inline Outcome run_command(const std::string& program, const std::string& arguments, const std::string& prefix = "") {
  const TempDir dir;
  const std::string command = prefix + " " + ELASTIFY_BIN_DIR "/" + program + " " + arguments + " >" +
                              (dir / "out").string() + " 2>" + (dir / "err").string() + " </dev/null";
  const int raw = std::system(command.c_str());
  Outcome outcome;
  outcome.status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
  outcome.out = read_bytes(dir / "out");
  outcome.err = read_bytes(dir / "err");
  return outcome;
}

}  // namespace elastify_test
