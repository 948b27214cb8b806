#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <thread>
#include <vector>

#include "run_common.hpp"

namespace elastic_run {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchCommand : RunOptions {
  std::vector<std::uint32_t> levels;
  std::uint32_t prompt_tokens = 512, gen_tokens = 64, repeats = 5;
  bool prompt_given = false, gen_given = false;
};

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// Linux: from here on, the peak counts anew. Elsewhere the peak is the process's, and levels run from small to large.
void restart_peak_rss() { std::ofstream("/proc/self/clear_refs") << "5"; }

std::uint64_t peak_rss_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

// What all threads together read per second from a buffer far larger than the caches: best of several passes.
double memory_bytes_per_s(std::uint32_t threads) {
  constexpr std::size_t kWords = std::size_t{256} * 1024 * 1024 / sizeof(std::uint64_t);
  const std::vector<std::uint64_t> buffer(kWords, 1);
  std::vector<std::uint64_t> sums(threads);
  double best = 0;
  for (int pass = 0; pass < 4; ++pass) {
    const auto start = Clock::now();
    std::vector<std::thread> workers;
    for (std::uint32_t t = 0; t < threads; ++t) {
      workers.emplace_back([&, t] {
        std::uint64_t sum = 0;
        for (std::size_t i = kWords / threads * t; i < kWords / threads * (t + 1); ++i) sum += buffer[i];
        sums[t] = sum;
      });
    }
    for (std::thread& worker : workers) worker.join();
    best = std::max(best, static_cast<double>(kWords * sizeof(std::uint64_t)) / seconds_since(start));
  }
  std::uint64_t total = 0;
  for (const std::uint64_t sum : sums) total += sum;
  if (total == 0) std::fputs("", stderr);  // the sums are used, so the reads cannot be optimised away
  return best;
}

std::vector<elrt::TokenId> random_tokens(std::uint32_t count, std::uint32_t vocab) {
  std::vector<elrt::TokenId> tokens;
  std::uint64_t state = 1;
  for (std::uint32_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX generator: any tokens will do
    tokens.push_back(static_cast<elrt::TokenId>((state >> 33) % vocab));
  }
  return tokens;
}

struct Speeds {
  double prefill_tokens_per_s = 0, decode_tokens_per_s = 0;
};

Speeds measure_once(elrt::Session& session, std::span<const elrt::TokenId> tokens, std::uint32_t prompt_tokens) {
  session.reset();
  const auto start = Clock::now();
  take(session.forward(tokens.first(prompt_tokens)));
  const double prefill_s = seconds_since(start);
  const auto decode_start = Clock::now();
  for (std::size_t i = prompt_tokens; i < tokens.size(); ++i) take(session.forward(tokens.subspan(i, 1)));
  return {prompt_tokens / prefill_s, static_cast<double>(tokens.size() - prompt_tokens) / seconds_since(decode_start)};
}

// One switch away and back, halved; many times, as the clock is coarser than a switch.
double switch_us(elrt::Session& session, std::uint32_t level, std::uint32_t other) {
  constexpr int kSwitches = 1000;
  session.reset();
  const auto start = Clock::now();
  for (int i = 0; i < kSwitches; ++i) {
    take(session.set_level(other));
    take(session.set_level(level));
  }
  return seconds_since(start) * 1e6 / (2 * kSwitches);
}

// A level's figures while they are gathered.
struct LevelBench {
  elrt::LevelInfo info;
  double switch_us = 0;
  std::uint64_t peak_rss_bytes = 0;
  std::vector<double> prefill, decode;
};

// Memory and switching; its run pages the level in and brings the cores to speed.
void measure_memory(elrt::Session& session, LevelBench& bench, std::uint32_t other, std::span<const elrt::TokenId> tokens, std::uint32_t prompt_tokens) {
  bench.switch_us = switch_us(session, bench.info.level, other);
  take(session.set_level(bench.info.level));
  restart_peak_rss();
  measure_once(session, tokens, prompt_tokens);
  bench.peak_rss_bytes = peak_rss_bytes();
}

void measure_speed(elrt::Session& session, LevelBench& bench, std::span<const elrt::TokenId> tokens, std::uint32_t prompt_tokens) {
  take(session.set_level(bench.info.level));
  const Speeds speeds = measure_once(session, tokens, prompt_tokens);
  bench.prefill.push_back(speeds.prefill_tokens_per_s);
  bench.decode.push_back(speeds.decode_tokens_per_s);
}

nlohmann::json to_json(const LevelBench& bench, double memory_rate) {
  const double decode_rate = median(bench.decode);
  return {{"level", bench.info.level},
          {"prefill_tokens_per_s", median(bench.prefill)},
          {"decode_tokens_per_s", decode_rate},
          {"switch_us", bench.switch_us},
          {"peak_rss_bytes", bench.peak_rss_bytes},
          {"bytes_per_token", bench.info.bytes_per_token},
          {"memory_bandwidth_share", decode_rate * static_cast<double>(bench.info.bytes_per_token) / memory_rate}};
}

// Defaults shrink to fit a small model; what was asked for is used or refused.
void fit_context(BenchCommand& command, std::uint32_t context) {
  if (command.prompt_tokens + command.gen_tokens <= context) return;
  if (command.prompt_given && command.gen_given) {
    throw CommandError(elrt::invalid_argument(std::to_string(command.prompt_tokens) + " prompt and " + std::to_string(command.gen_tokens) +
                                              " generated tokens exceed the model's context of " + std::to_string(context)));
  }
  std::uint32_t& shrinks = command.prompt_given ? command.gen_tokens : command.prompt_tokens;
  const std::uint32_t fixed = command.prompt_given ? command.prompt_tokens : command.gen_tokens;
  if (fixed >= context) throw CommandError(elrt::invalid_argument(std::to_string(fixed) + " tokens leave no room in the model's context of " + std::to_string(context)));
  shrinks = context - fixed;
  std::cerr << "elastic-run: the model's context is " << context << " tokens; measuring " << command.prompt_tokens << " prompt and "
            << command.gen_tokens << " generated tokens\n";
}

void print_table(const nlohmann::json& result) {
  std::printf("%5s %12s %12s %10s %12s %14s %8s\n", "level", "prefill t/s", "decode t/s", "switch us", "peak RSS MB", "MB per token", "of RAM");
  for (const auto& level : result["levels"]) {
    std::printf("%5u %12.1f %12.1f %10.3f %12.1f %14.3f %7.1f%%\n", level["level"].get<unsigned>(), level["prefill_tokens_per_s"].get<double>(),
                level["decode_tokens_per_s"].get<double>(), level["switch_us"].get<double>(), level["peak_rss_bytes"].get<double>() / 1e6,
                level["bytes_per_token"].get<double>() / 1e6, 100 * level["memory_bandwidth_share"].get<double>());
  }
  std::printf("memory bandwidth %.1f GB/s with %u threads; a level that fits the caches can exceed it\n",
              result["memory_bytes_per_s"].get<double>() / 1e9, result["threads"].get<unsigned>());
}

void run(BenchCommand command) {
  const auto artifact = take(elrt::Artifact::open(command.file));
  if (command.levels.empty()) {
    for (const auto& level : artifact.levels()) command.levels.push_back(level.level);
  }
  std::sort(command.levels.begin(), command.levels.end());  // small to large: the file's pages stay, so peaks stay honest
  std::vector<LevelBench> benches;
  for (const std::uint32_t level : command.levels) benches.push_back({take(artifact.level(level)), 0, 0, {}, {}});
  fit_context(command, artifact.shape().context);
  elrt::SessionOptions options;
  options.threads = command.threads;
  options.level = command.levels.front();
  auto session = take(elrt::Session::create(artifact, options));
  const double memory_rate = memory_bytes_per_s(session.threads());
  nlohmann::json result = {{"threads", session.threads()},           {"prompt_tokens", command.prompt_tokens},
                           {"gen_tokens", command.gen_tokens},       {"repeats", command.repeats},
                           {"memory_bytes_per_s", memory_rate},      {"levels", nlohmann::json::array()}};
  const auto& all = artifact.levels();
  const auto tokens = random_tokens(command.prompt_tokens + command.gen_tokens, session.vocab());
  for (auto& bench : benches) {
    const std::uint32_t other = all.front().level == bench.info.level ? all.back().level : all.front().level;
    measure_memory(session, bench, other, tokens, command.prompt_tokens);
  }
  // In turns, so that what else the machine does meets every level alike.
  for (std::uint32_t i = 0; i < command.repeats; ++i) {
    for (auto& bench : benches) measure_speed(session, bench, tokens, command.prompt_tokens);
    std::cerr << "elastic-run: run " << i + 1 << " of " << command.repeats << " measured\n";
  }
  for (const auto& bench : benches) result["levels"].push_back(to_json(bench, memory_rate));
  command.json ? print_json(result) : print_table(result);
}

}  // namespace

void register_bench(CLI::App& app) {
  auto command = std::make_shared<BenchCommand>();
  CLI::App* sub = app.add_subcommand("bench", "measure speed and memory per level");
  add_run_options(*sub, *command);
  sub->add_option("--levels", command->levels, "levels, separated by commas; default: all")->delimiter(',');
  auto* prompt = sub->add_option("--prompt-tokens", command->prompt_tokens, "tokens read at once")->check(CLI::Range(1u, 1u << 24))->capture_default_str();
  auto* gen = sub->add_option("--gen-tokens", command->gen_tokens, "tokens decoded one by one")->check(CLI::Range(1u, 1u << 24))->capture_default_str();
  sub->add_option("--repeats", command->repeats, "runs per level; medians are reported")->check(CLI::Range(1u, 1000u))->capture_default_str();
  sub->footer("Example:\n  elastic-run bench model.gguf --levels 20,50,100 --prompt-tokens 512 --gen-tokens 64 --threads 2 --json");
  sub->callback([command, prompt, gen] {
    command->prompt_given = prompt->count() > 0;
    command->gen_given = gen->count() > 0;
    run(*command);
  });
}

}  // namespace elastic_run
