#include "program.h"

#include <c10/util/Exception.h>
#include <malloc.h>
#include <unistd.h>
#include <elrt/mapped_files.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <new>
#include <string_view>

#include "base/error.h"
#include "base/log.h"

namespace elastify_cli {

void print_json(const nlohmann::json& object) {
  std::cout << object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

namespace {

int parse_and_run(CLI::App& app, int argc, char** argv) {
  std::string log_level = "info";
  app.add_option("--log", log_level, "error, warn, info or debug")->capture_default_str();
  app.parse_complete_callback([&] { elastify::set_up_log(log_level); });
  try {
    app.parse(argc, argv);
    std::cout.flush();
    if (!std::cout) elastify::fail(elastify::ErrorCode::kInternal, "cannot write the result to stdout");
    return 0;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
}

const char* program_name = "elastify";

// What ended the program, in one line, which needs no memory; its exit status.
int report_exception() noexcept {
  using elastify::ErrorCode;
  const auto report = [](const char* kind, const char* what, ErrorCode code) {
    const std::string_view text(what);
    std::fprintf(stderr, "%s: %s%.*s\n", program_name, kind, static_cast<int>(std::min(text.find('\n'), text.size())),
                 what);
    return static_cast<int>(code);
  };
  try {
    throw;
  } catch (const elastify::Error& error) {
    return report("", error.what(), error.code());
  } catch (const c10::Error& error) {
    const char* what = error.what_without_backtrace();
    const bool memory = std::string_view(what).find("can't allocate memory") != std::string_view::npos;
    return memory ? report("", "out of memory", ErrorCode::kInternal)
                  : report("LibTorch failed: ", what, ErrorCode::kInternal);
  } catch (const std::bad_alloc&) {
    return report("", "out of memory", ErrorCode::kInternal);
  } catch (const std::exception& error) {
    return report("internal error: ", error.what(), ErrorCode::kInternal);
  } catch (...) {
    return report("internal error: ", "an unknown exception", ErrorCode::kInternal);
  }
}

// Where a library lets no exception pass, as parts of CLI11, LibTorch and the C++ library do.
[[noreturn]] void end_without_catch() noexcept {
  if (std::current_exception() == nullptr) std::abort();
  ::_exit(report_exception());
}

}  // namespace

int run_program(const char* name, const char* about, const std::function<void(CLI::App&)>& register_commands, int argc,
                char** argv) {
  program_name = name;
  elrt::end_on_lost_pages(name);
  std::set_terminate(end_without_catch);
  // Training allocates the same large tensors in every step: kept, they cost no page faults; returned, one for every
  // page.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  try {
    CLI::App app(about, name);
    app.require_subcommand(1);
    register_commands(app);
    return parse_and_run(app, argc, argv);
  } catch (...) {
    return report_exception();
  }
}

}  // namespace elastify_cli
