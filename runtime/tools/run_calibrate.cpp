#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <vector>

#include "run_common.hpp"

namespace elastic_run {
namespace {

using Clock = std::chrono::steady_clock;

struct CalibrateCommand : RunOptions {
  std::string out;
  elrt::CalibrateOptions options;
};

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Before minutes of measuring, not after them.
void check_folder(const std::filesystem::path& out) {
  const auto folder = out.has_parent_path() ? out.parent_path() : std::filesystem::path(".");
  if (::access(folder.c_str(), W_OK) == 0 && !std::filesystem::is_directory(out)) return;
  throw CommandError(elrt::invalid_argument("cannot write '" + out.string() +
                                            "'; name a file in a folder that can be written with --out"));
}

// The share that is done and the time left at the pace so far: one line of a terminal, elsewhere a line every ten
// seconds.
elrt::CalibrateProgress progress_line(Clock::time_point start) {
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  return [start, terminal, shown = 0.0](double done) mutable {
    const double elapsed = seconds_since(start);
    const bool over = terminal && done >= 1 && shown > 0;
    if (elapsed - shown >= (terminal ? 1 : 10) || over) {
      std::fprintf(stderr, "%selastic-run: %3.0f %% measured, about %4.0f s left%s", terminal ? "\r" : "", 100 * done,
                   elapsed / done * (1 - done), terminal && !over ? "" : "\n");
      shown = elapsed;
    }
    return true;
  };
}

nlohmann::json to_json(const elrt::LatencyData& data, const std::string& file, double run_time_s) {
  nlohmann::json levels = nlohmann::json::array();
  for (const auto& level : data.levels)
    levels.push_back({{"level", level.level}, {"ttft_ms", level.ttft_ms}, {"tpot_ms", level.tpot_ms}});
  nlohmann::json tlm;
  if (!data.tlm.decision_ms.empty()) tlm = {{"decision_ms", data.tlm.decision_ms}, {"score_ms", data.tlm.score_ms}};
  return {{"file", file},
          {"run_time_s", run_time_s},
          {"device", data.device},
          {"threads", data.threads},
          {"repeats", data.repeats},
          {"kv_type", elrt::kv_type_name(data.kv_type)},
          {"tokens", data.tokens},
          {"levels", levels},
          {"tlm", tlm}};
}

void print_rows(const elrt::LatencyData& data, const char* title, std::vector<double> elrt::LevelLatency::*curve) {
  std::printf("%s\n%8s", title, "tokens");
  for (const auto& level : data.levels) std::printf(" %9u%%", level.level);
  for (std::size_t i = 0; i < data.tokens.size(); ++i) {
    std::printf("\n%8u", data.tokens[i]);
    for (const auto& level : data.levels) std::printf(" %10.4g", (level.*curve)[i]);
  }
  std::printf("\n");
}

void print_tlm(const elrt::LatencyData& data) {
  if (data.tlm.decision_ms.empty()) return;
  std::printf("tiny language model in ms, by prompt length\n%8s %10s %10s\n", "tokens", "decision", "score");
  for (std::size_t i = 0; i < data.tokens.size(); ++i)
    std::printf("%8u %10.4g %10.4g\n", data.tokens[i], data.tlm.decision_ms[i], data.tlm.score_ms[i]);
}

void run(const CalibrateCommand& command) {
  const auto artifact = take(elrt::Artifact::open(command.file));
  const std::filesystem::path out =
      command.out.empty() ? elrt::LatencyTable::default_path(command.file) : std::filesystem::path(command.out);
  check_folder(out);
  elrt::CalibrateOptions options = command.options;
  options.threads = command.threads;
  const auto start = Clock::now();
  const auto table = take(elrt::calibrate(artifact, options, progress_line(start)));
  take(table.write(out));
  const double run_time_s = seconds_since(start);
  if (command.json) return print_json(to_json(table.data(), out.string(), run_time_s));
  print_rows(table.data(), "time to the first token in ms, by prompt length and level", &elrt::LevelLatency::ttft_ms);
  print_rows(table.data(), "time per output token in ms, by context length and level", &elrt::LevelLatency::tpot_ms);
  print_tlm(table.data());
  std::printf("%u threads on %s; measured in %.1f s; written to %s\n", table.data().threads,
              table.data().device.c_str(), run_time_s, out.c_str());
}

}  // namespace

void register_calibrate(CLI::App& app) {
  auto command = std::make_shared<CalibrateCommand>();
  CLI::App* sub = app.add_subcommand("calibrate", "measure this device, so that generate can keep latency objectives");
  add_run_options(*sub, *command);
  auto& options = command->options;
  add_kv_type_option(*sub, options.kv_type);
  sub->add_option("--out", command->out, "the table; default: FILE.latency.json");
  sub->add_option("--repeats", options.repeats, "measurements per level and length; medians are kept")
      ->check(common::in_range(1, 1000))
      ->capture_default_str();
  sub->add_option("--max-tokens", options.max_tokens, "the longest length, where the model's context is not shorter")
      ->check(common::in_range(2, 1 << 24))
      ->capture_default_str();
  sub->add_option("--lengths", options.lengths,
                  "lengths, separated by commas; default: powers of two from 16, and the longest")
      ->delimiter(',');
  sub->footer(
      "Measures every level's time to the first token by prompt length and time per token by context length, the tiny\n"
      "language model's decision and compression where the artifact has one, and replaces the table once all is "
      "measured. Let nothing else run; use the number of threads\n"
      "and the type of cache that generate will use.\n"
      "Examples:\n"
      "  elastic-run calibrate model.gguf\n"
      "  elastic-run calibrate model.gguf --threads 2 --repeats 9 --out model.gguf.latency.json --json");
  sub->callback([command] { run(*command); });
}

}  // namespace elastic_run
