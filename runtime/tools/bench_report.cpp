#include "bench_report.hpp"

#include <cstdio>

namespace elastic_run {

nlohmann::json to_json(const LevelBench& bench, const elrt::MachineLimits& limits, std::uint32_t prompt_tokens) {
  const double decode_rate = median(bench.decode), prefill_rate = median(bench.prefill);
  const bool bytes = bench.dtype == "q8_0" || bench.dtype == "q4_0" || bench.dtype == "iq4_nl";
  const double peak = bytes                   ? limits.byte_ops_per_s
                      : bench.dtype == "bf16" ? limits.bf16_ops_per_s
                                              : limits.float_ops_per_s;
  const double operations =
      bench.block_operations + bench.head_operations / prompt_tokens;  // one row of logits for the whole prompt
  return {{"file", bench.file},
          {"dtype", bench.dtype},
          {"level", bench.info.level},
          {"prefill_tokens_per_s", prefill_rate},
          {"decode_tokens_per_s", decode_rate},
          {"switch_us", bench.switch_us},
          {"peak_rss_bytes", bench.resident.peak},
          {"resident_bytes", bench.resident.bytes},
          {"resident_file_bytes", bench.resident.file},
          {"reclaimed_bytes", bench.reclaimed_bytes},
          {"bytes_per_token", bench.info.bytes_per_token},
          {"cache_bytes_per_token", bench.cache_bytes_per_token},
          {"memory_bandwidth_share",
           decode_rate * static_cast<double>(bench.info.bytes_per_token) / limits.memory_bytes_per_s},
          {"peak_arithmetic_share", prefill_rate * operations / peak}};
}

nlohmann::json to_json(const StartUp& start, const std::string& file) {
  return {{"file", file},
          {"open_ms", start.open_ms},
          {"tokenizer_ms", start.tokenizer_ms},
          {"session_ms", start.session_ms},
          {"first_token_ms", start.first_token_ms},
          {"total_ms", start.total_ms}};
}

nlohmann::json to_json(const AdapterCost& cost, const LevelBench& bench) {
  return {{"file", bench.file},
          {"level", bench.info.level},
          {"rank", bench.info.adapter_rank},
          {"added_prefill_share", cost.prefill},
          {"added_decode_share", cost.decode}};
}

nlohmann::json to_json(const Drafting& drafting, const std::string& file) {
  return {{"file", file},
          {"level", drafting.level},
          {"draft_level", drafting.draft_level},
          {"drafted_tokens", drafting.report.drafted},
          {"accepted_tokens", drafting.report.accepted},
          {"acceptance", drafting.report.acceptance()},
          {"plain_tokens_per_s", drafting.plain_tokens_per_s},
          {"tokens_per_s", drafting.tokens_per_s},
          {"speed_up", drafting.plain_tokens_per_s > 0 ? drafting.tokens_per_s / drafting.plain_tokens_per_s : 0}};
}

void print_bench_table(const nlohmann::json& result) {
  const auto number = [](const nlohmann::json& object, const char* field) { return object[field].get<double>(); };
  std::printf("%5s %5s %12s %8s %12s %8s %10s %9s %9s %9s\n", "dtype", "level", "prefill t/s", "of peak", "decode t/s",
              "of RAM", "switch us", "peak MB", "file MB", "MB/token");
  for (const auto& level : result["levels"]) {
    std::printf("%5s %5.0f %12.1f %7.1f%% %12.1f %7.1f%% %10.3f %9.1f %9.1f %9.3f\n",
                level["dtype"].get<std::string>().c_str(), number(level, "level"),
                number(level, "prefill_tokens_per_s"), 100 * number(level, "peak_arithmetic_share"),
                number(level, "decode_tokens_per_s"), 100 * number(level, "memory_bandwidth_share"),
                number(level, "switch_us"), number(level, "peak_rss_bytes") / 1e6,
                number(level, "resident_file_bytes") / 1e6, number(level, "bytes_per_token") / 1e6);
  }
  for (const auto& start : result["start"]) {
    std::printf(
        "%s: first token %.1f ms after the file's name (open %.2f, tokenizer %.2f, session %.2f, one token over newly "
        "mapped pages %.1f)\n",
        start["file"].get<std::string>().c_str(), number(start, "total_ms"), number(start, "open_ms"),
        number(start, "tokenizer_ms"), number(start, "session_ms"), number(start, "first_token_ms"));
  }
  for (const auto& cost : result["adapters"]) {
    std::printf("level %.0f: its adapter of rank %.0f adds %.1f %% to a prompt's time and %.1f %% to a token's\n",
                number(cost, "level"), number(cost, "rank"), 100 * number(cost, "added_prefill_share"),
                100 * number(cost, "added_decode_share"));
  }
  for (const auto& drafting : result["drafting"]) {
    std::printf(
        "level %.0f, drafts of level %.0f: %.1f instead of %.1f tokens/s (%.2fx), %.0f of %.0f guesses accepted\n",
        number(drafting, "level"), number(drafting, "draft_level"), number(drafting, "tokens_per_s"),
        number(drafting, "plain_tokens_per_s"), number(drafting, "speed_up"), number(drafting, "accepted_tokens"),
        number(drafting, "drafted_tokens"));
  }
  std::printf(
      "%.0f threads: memory %.1f GB/s (a level that fits the caches can exceed it), float32 %.1f GFLOP/s, bfloat16 "
      "%.1f, bytes %.1f GOP/s\n",
      number(result, "threads"), number(result, "memory_bytes_per_s") / 1e9, number(result, "float_ops_per_s") / 1e9,
      number(result, "bf16_ops_per_s") / 1e9, number(result, "byte_ops_per_s") / 1e9);
}

}  // namespace elastic_run
