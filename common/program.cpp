#include "common/program.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <new>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>

#include "common/completion.hpp"
#include "common/option_checks.hpp"
#include "common/parse_message.hpp"

namespace common {
namespace {

const char* program_name = "";
Describe describe_library = nullptr;

// A write to a closed pipe is an error like that of a full disk, not a signal. Where a standard stream was closed, its
// number must not be given to a file: results would be written into it.
void hold_standard_streams() {
  std::signal(SIGPIPE, SIG_IGN);
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream) {
    if (::fcntl(stream, F_GETFD) < 0 && errno == EBADF) ::open("/dev/null", O_RDONLY);
  }
}

// One line, which needs no memory; the exit status.
int report(ErrorCode code, const char* what, const char* detail = "") noexcept {
  const std::string_view line(what);
  std::fprintf(stderr, "%s: %.*s%s\n", program_name, static_cast<int>(std::min(line.find('\n'), line.size())), what,
               detail);
  return static_cast<int>(code);
}

int report_library(const std::exception& error) noexcept {
  constexpr auto kCode = ErrorCode::kInternal;
  try {
    if (const char* known = describe_library == nullptr ? nullptr : describe_library(error))
      return report(kCode, known);
    if (const auto* file = dynamic_cast<const std::filesystem::filesystem_error*>(&error))
      return report(kCode, filled("cannot use {}: {}", file->path1().string(), file->code().message()).c_str());
    if (const auto* system = dynamic_cast<const std::system_error*>(&error))
      return report(kCode, "the system refused: ", system->code().message().c_str());
  } catch (...) {
    return report(kCode, kOutOfMemory);
  }
  if (dynamic_cast<const nlohmann::json::exception*>(&error) != nullptr)
    return report(kCode, "internal error: a JSON value is not what the program expects; please report the command");
  return report(kCode, "internal error: please report the command and its files");
}

// What ended the program; its exit status.
int report_exception() noexcept {
  try {
    throw;
  } catch (const Error& error) {
    return report(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return report(ErrorCode::kInternal, kOutOfMemory);
  } catch (const std::exception& error) {
    return report_library(error);
  } catch (...) {
    return report(ErrorCode::kInternal, "internal error: an unknown exception; please report the command");
  }
}

// Where a library lets no exception pass, as parts of CLI11, LibTorch and the C++ library do.
[[noreturn]] void end_without_catch() noexcept {
  if (std::current_exception() != nullptr) ::_exit(report_exception());
  ::_exit(report(ErrorCode::kInternal, "a library stopped the program, most likely out of memory"));
}

void parse_and_run(CLI::App& app, int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::string unknown = unknown_command(app, arguments), empty = empty_item(app, arguments);
  if (!unknown.empty()) {
    fail(ErrorCode::kUsage, "there is no command \"{}\": expected one of {}; see {} --help", unknown,
         command_names(app), app.get_name());
  }
  if (!empty.empty()) fail(ErrorCode::kUsage, "{}; see {} --help", empty, app.get_name());
  try {
    if (arguments == std::vector<std::string>{"--bash-completion"})
      std::cout << bash_completion(app);
    else
      app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // help or version
    app.exit(asked);
  } catch (const CLI::ParseError& error) {
    fail(ErrorCode::kUsage, "{}", parse_message(app, error));
  }
  check_output();
}

}  // namespace

void check_output() {
  errno = 0;
  std::cout.flush();
  if (std::cout && std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  fail(ErrorCode::kInternal, "cannot write the result to stdout: {}",
       errno != 0 ? std::strerror(errno) : "the disk is full, or its reader has gone");
}

int run_program(const char* name, const char* about, const std::function<void(CLI::App&)>& register_commands, int argc,
                char** argv, Describe describe) {
  program_name = name;
  describe_library = describe;
  hold_standard_streams();
  std::set_terminate(end_without_catch);
  try {
    CLI::App app(about, name);
    app.require_subcommand(1);
    register_commands(app);
    app.set_version_flag("--version", app.get_name() + " " ELASTIFY_VERSION);
    read_numbers_strictly(app);
    parse_and_run(app, argc, argv);
    return 0;
  } catch (...) {
    return report_exception();
  }
}

}  // namespace common
