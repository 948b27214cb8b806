#include "bench_measure.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>

namespace elastic_run {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double decode_rate(const elrt::Generation& made) { return made.tpot_ms > 0 ? 1e3 / made.tpot_ms : 0; }

}  // namespace

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::vector<elrt::TokenId> random_tokens(std::uint32_t count, std::uint32_t vocab) {
  std::vector<elrt::TokenId> tokens;
  std::uint64_t state = 1;
  for (std::uint32_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX generator
    tokens.push_back(static_cast<elrt::TokenId>((state >> 33) % vocab));
  }
  return tokens;
}

Speeds measure_speeds(elrt::Session& session, std::span<const elrt::TokenId> tokens, std::uint32_t prompt_tokens) {
  session.reset();
  const auto start = Clock::now();
  take(session.forward(tokens.first(prompt_tokens)));
  const double prefill_s = seconds_since(start);
  const auto decode_start = Clock::now();
  for (std::size_t i = prompt_tokens; i < tokens.size(); ++i) take(session.forward(tokens.subspan(i, 1)));
  return {prompt_tokens / prefill_s, static_cast<double>(tokens.size() - prompt_tokens) / seconds_since(decode_start)};
}

double measure_switch_us(elrt::Session& session, std::uint32_t level, std::uint32_t other) {
  constexpr int kSwitches = 1000;
  session.reset();
  const auto start = Clock::now();
  for (int i = 0; i < kSwitches; ++i) {
    take(session.set_level(other));
    take(session.set_level(level));
  }
  return seconds_since(start) * 1e6 / (2 * kSwitches);
}

StartUp measure_start(const std::string& file, const elrt::SessionOptions& options, std::uint32_t repeats) {
  std::vector<double> open, tokenizer, session, first, total;
  for (std::uint32_t i = 0; i < repeats; ++i) {
    const auto start = Clock::now();
    auto step = start;
    const auto lap = [&](std::vector<double>& times) {
      times.push_back(1e3 * seconds_since(step));
      step = Clock::now();
    };
    const auto artifact = take(elrt::Artifact::open(file));
    lap(open);
    if (auto made = artifact.tokenizer())
      lap(tokenizer);
    else
      tokenizer.push_back(0);
    auto opened = take(elrt::Session::create(artifact, options));
    lap(session);
    take(opened.forward(random_tokens(1, opened.vocab())));
    lap(first);
    total.push_back(1e3 * seconds_since(start));
  }
  return {median(open), median(tokenizer), median(session), median(first), median(total)};
}

// Linux: from here on, the peak counts again. Elsewhere it is the process's.
void restart_peak() { std::ofstream("/proc/self/clear_refs") << "5"; }

Resident measure_resident() {
  Resident resident;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    const auto read = [&](const char* name, std::uint64_t& bytes) {
      if (line.starts_with(name)) bytes = std::stoull(line.substr(std::string(name).size())) * 1024;
    };
    read("VmHWM:", resident.peak), read("VmRSS:", resident.bytes), read("RssFile:", resident.file);
  }
  if (resident.peak == 0) {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    resident.peak = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  }
  return resident;
}

double block_operations(const elrt::Artifact& artifact, const elrt::LevelInfo& level) {
  const elrt::ModelShape& shape = artifact.shape();
  const double hidden = shape.hidden, head = shape.head_dim;
  double weights = static_cast<double>(level.adapter_weights);
  for (std::size_t layer = 0; layer < level.kv_groups.size(); ++layer) {
    const double kv = level.kv_groups[layer] * head, q = kv * shape.heads_per_group();
    weights += hidden * (2 * q + 2 * kv + 3 * static_cast<double>(level.neurons[layer]));
  }
  return 2 * weights;
}

double head_operations(const elrt::Artifact& artifact) {
  return 2.0 * artifact.shape().vocab * artifact.shape().hidden;
}

AdapterCost measure_adapter_cost(elrt::Session& with, elrt::Session& without, std::span<const elrt::TokenId> tokens,
                                 std::uint32_t prompt_tokens, std::uint32_t repeats) {
  measure_speeds(without, tokens, prompt_tokens);  // memory of its own is touched outside the measured runs
  std::array<std::vector<double>, 2> prefill, decode;
  auto read_in_turns = [&, turn = 0u](std::span<const elrt::TokenId> some,
                                      std::array<std::vector<double>, 2>& times) mutable {
    ++turn;
    for (const unsigned adapted : {turn % 2, 1 - turn % 2}) {
      const auto start = Clock::now();
      take((adapted != 0 ? with : without).forward(some));
      times[adapted].push_back(seconds_since(start));
    }
  };
  for (std::uint32_t i = 0; i < repeats; ++i) {
    with.reset();
    without.reset();
    read_in_turns(tokens.first(prompt_tokens), prefill);
    for (std::size_t t = prompt_tokens; t < tokens.size(); ++t) read_in_turns(tokens.subspan(t, 1), decode);
  }
  return {median(prefill[1]) / median(prefill[0]) - 1, median(decode[1]) / median(decode[0]) - 1};
}

Drafting measure_drafting(elrt::Session& session, const elrt::Tokenizer& tokenizer, std::uint32_t draft_level,
                          const DraftingSetting& setting) {
  elrt::GenerateOptions plain;
  plain.max_tokens = setting.gen_tokens;
  plain.ignore_end = true;
  elrt::GenerateOptions drafting = plain;
  drafting.speculation.draft_level = draft_level;
  drafting.speculation.draft_tokens = setting.draft_tokens;
  Drafting result;
  result.level = session.level(), result.draft_level = draft_level;
  std::vector<double> plain_rates, rates;
  for (std::uint32_t i = 0; i < setting.repeats; ++i) {
    const auto expected = take(elrt::generate(session, tokenizer, setting.prompt, plain));
    const auto made = take(elrt::generate(session, tokenizer, setting.prompt, drafting));
    if (made.tokens != expected.tokens)
      throw CommandError(elrt::internal_error("drafting changed the text; please report this"));
    plain_rates.push_back(decode_rate(expected));
    rates.push_back(decode_rate(made));
    result.report.drafted += made.speculation.drafted;
    result.report.accepted += made.speculation.accepted;
    result.report.passes += made.speculation.passes;
  }
  result.plain_tokens_per_s = median(plain_rates);
  result.tokens_per_s = median(rates);
  return result;
}

}  // namespace elastic_run
