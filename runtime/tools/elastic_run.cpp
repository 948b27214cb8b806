// elastic-run: generate, score and measure with an elastic artifact.
// Results go to stdout, everything else to stderr. Exit status: 0 success, 1 internal error, 2 usage, 3 bad data.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>

#include "run_common.hpp"

namespace {

constexpr char kExamples[] = R"(Examples:
  elastic-run generate model.gguf --prompt "Once upon a time" --level 50
  elastic-run generate model.gguf --prompt "Hello" --temperature 0.8 --top-p 0.95 --seed 7 --json
  elastic-run calibrate model.gguf
  elastic-run generate model.gguf --prompt "Hello" --ttft 0.4 --tpot 0.7 --json
  elastic-run replay model.gguf --requests trace.jsonl --count 1000
  elastic-run score model.gguf --level 50 --text-file story.txt --json
  elastic-run bench model.gguf --levels 20,50,100 --threads 2

Exit status: 0 success, 1 internal error, 2 usage, 3 bad artifact or text.)";

int usage_status(const CLI::App& app, const CLI::ParseError& error) { return app.exit(error) == 0 ? 0 : 2; }

int run(int argc, char** argv) {
  CLI::App app("Runs elastic language models: one file, many sizes.", "elastic-run");
  app.require_subcommand(1);
  app.footer(kExamples);
  try {
    elastic_run::register_generate(app);
    elastic_run::register_score(app);
    elastic_run::register_bench(app);
    elastic_run::register_calibrate(app);
    elastic_run::register_replay(app);
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& error) {
    return usage_status(app, error);
  }
}

// What ended the program, in one line, which needs no memory; its exit status.
int report_exception() noexcept {
  const auto report = [](const char* kind, const char* what, elrt::Status status) {
    std::fprintf(stderr, "elastic-run: %s%s\n", kind, what);
    return static_cast<int>(status);
  };
  try {
    throw;
  } catch (const elastic_run::CommandError& error) {
    return report("", error.what(), error.status);
  } catch (const std::bad_alloc&) {
    return report("", "out of memory", elrt::Status::kInternal);
  } catch (const std::exception& error) {
    return report("internal error: ", error.what(), elrt::Status::kInternal);
  } catch (...) {
    return report("internal error: ", "an unknown exception", elrt::Status::kInternal);
  }
}

// Where a library lets no exception pass, as parts of CLI11 and of the C++ library do.
[[noreturn]] void end_without_catch() noexcept {
  if (std::current_exception() == nullptr) std::abort();
  ::_exit(report_exception());
}

}  // namespace

int main(int argc, char** argv) {
  elrt::end_on_lost_pages("elastic-run");
  std::set_terminate(end_without_catch);
  try {
    return run(argc, argv);
  } catch (...) {
    return report_exception();
  }
}
