#include <algorithm>
#include <cctype>
#include <iostream>
#include <memory>
#include <vector>

#include "bench_report.hpp"

namespace elastic_run {
namespace {

struct BenchCommand {
  std::vector<std::string> files;
  std::vector<std::uint32_t> levels, draft_levels;
  std::uint32_t threads = 0, prompt_tokens = 512, gen_tokens = 64, repeats = 5,
                draft_tokens = elrt::SpeculationOptions{}.draft_tokens;
  std::string prompt;
  elrt::KvType kv_type = elrt::KvType::kF32;
  bool json = false, reclaim = false, adapter_cost = false, prompt_given = false, gen_given = false;
};

// The type of the blocks' matrices, in lower case.
std::string dtype_of(const elrt::Artifact& artifact) {
  const elrt::TensorInfo* tensor = artifact.find_tensor("blk.0.attn_q.weight");
  std::string name = tensor == nullptr ? "?" : elrt::type_name(tensor->type);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

// Switching and memory; its run pages the level in and brings the cores to speed.
void measure_memory(const BenchCommand& command, elrt::Session& session, LevelBench& bench, std::uint32_t other,
                    std::span<const elrt::TokenId> tokens) {
  bench.switch_us = measure_switch_us(session, bench.info.level, other);
  take(session.set_level(bench.info.level));
  if (command.reclaim) bench.reclaimed_bytes = session.reclaim();
  restart_peak();
  measure_speeds(session, tokens, command.prompt_tokens);
  bench.resident = measure_resident();
  bench.cache_bytes_per_token = session.cache_bytes_per_token();
}

// Defaults shrink to fit a small model; what was asked for is used or refused.
void fit_context(BenchCommand& command, std::uint32_t context) {
  if (command.prompt_tokens + command.gen_tokens <= context) return;
  if (command.prompt_given && command.gen_given) {
    throw CommandError(elrt::invalid_argument(
        std::to_string(command.prompt_tokens) + " prompt and " + std::to_string(command.gen_tokens) +
        " generated tokens exceed the model's context of " + std::to_string(context)));
  }
  std::uint32_t& shrinks = command.prompt_given ? command.gen_tokens : command.prompt_tokens;
  const std::uint32_t fixed = command.prompt_given ? command.prompt_tokens : command.gen_tokens;
  if (fixed >= context)
    throw CommandError(elrt::invalid_argument(
        std::to_string(fixed) + " tokens leave no room in the model's context of " + std::to_string(context)));
  shrinks = context - fixed;
  std::cerr << "elastic-run: the model's context is " << context << " tokens; measuring " << command.prompt_tokens
            << " prompt and " << command.gen_tokens << " generated tokens\n";
}

// Drafting for the largest of the measured levels.
void bench_drafting(const BenchCommand& command, const elrt::Artifact& artifact, elrt::Session& session,
                    const std::string& file, nlohmann::json& result) {
  const auto tokenizer = take(artifact.tokenizer());
  DraftingSetting setting{random_tokens(command.prompt_tokens, session.vocab()), command.gen_tokens,
                          command.draft_tokens, command.repeats};
  if (!command.prompt.empty()) setting.prompt = take(elrt::prompt_tokens(*tokenizer, command.prompt));
  for (const std::uint32_t draft_level : command.draft_levels) {
    take(session.can_draft(draft_level));
    result["drafting"].push_back(to_json(measure_drafting(session, *tokenizer, draft_level, setting), file));
  }
}

void bench_adapters(const BenchCommand& command, const elrt::Artifact& artifact, elrt::SessionOptions options,
                    elrt::Session& session, const std::vector<LevelBench>& benches,
                    std::span<const elrt::TokenId> tokens, nlohmann::json& result) {
  options.use_adapter = false;
  auto plain = take(elrt::Session::create(artifact, options));
  for (const LevelBench& bench : benches) {
    if (bench.info.adapter_rank == 0) continue;
    take(session.set_level(bench.info.level));
    take(plain.set_level(bench.info.level));
    result["adapters"].push_back(
        to_json(measure_adapter_cost(session, plain, tokens, command.prompt_tokens, command.repeats), bench));
  }
}

std::vector<LevelBench> levels_of(const BenchCommand& command, const elrt::Artifact& artifact,
                                  const std::string& file) {
  std::vector<std::uint32_t> levels = command.levels;
  if (levels.empty()) {
    for (const auto& level : artifact.levels()) levels.push_back(level.level);
  }
  std::sort(levels.begin(), levels.end());
  std::vector<LevelBench> benches;
  for (const std::uint32_t level : levels) {
    LevelBench bench;
    bench.file = file, bench.dtype = dtype_of(artifact), bench.info = take(artifact.level(level));
    bench.block_operations = block_operations(artifact, bench.info), bench.head_operations = head_operations(artifact);
    benches.push_back(std::move(bench));
  }
  return benches;
}

void bench_file(BenchCommand command, const std::string& file, const elrt::MachineLimits& limits,
                nlohmann::json& result) {
  const auto artifact = take(elrt::Artifact::open(file));
  std::vector<LevelBench> benches = levels_of(command, artifact, file);
  fit_context(command, artifact.shape().context);
  elrt::SessionOptions options;
  options.threads = command.threads;
  options.level = benches.front().info.level;
  options.kv_type = command.kv_type;
  auto session = take(elrt::Session::create(artifact, options));
  const auto tokens = random_tokens(command.prompt_tokens + command.gen_tokens, session.vocab());
  // From small to large, as pages that were used stay; the other way round where they are given back.
  if (command.reclaim) std::reverse(benches.begin(), benches.end());
  const std::uint32_t least = artifact.levels().front().level, most = artifact.levels().back().level;
  for (auto& bench : benches) measure_memory(command, session, bench, bench.info.level == least ? most : least, tokens);
  if (command.reclaim) std::reverse(benches.begin(), benches.end());
  // In turns, so that what else the machine does meets every level alike.
  for (std::uint32_t i = 0; i < command.repeats; ++i) {
    for (auto& bench : benches) {
      take(session.set_level(bench.info.level));
      const Speeds speeds = measure_speeds(session, tokens, command.prompt_tokens);
      bench.prefill.push_back(speeds.prefill_tokens_per_s);
      bench.decode.push_back(speeds.decode_tokens_per_s);
    }
    std::cerr << "elastic-run: run " << i + 1 << " of " << command.repeats << " measured\n";
  }
  options.level = most;
  result["start"].push_back(to_json(measure_start(file, options, command.repeats), file));
  for (const auto& bench : benches) result["levels"].push_back(to_json(bench, limits, command.prompt_tokens));
  if (command.adapter_cost) bench_adapters(command, artifact, options, session, benches, tokens, result);
  if (!command.draft_levels.empty()) bench_drafting(command, artifact, session, file, result);
  result["prompt_tokens"] = command.prompt_tokens;
  result["gen_tokens"] = command.gen_tokens;
}

void run(const BenchCommand& command) {
  warn_about_threads(command.threads);
  for (const std::string& file : command.files)
    levels_of(command, take(elrt::Artifact::open(file)), file);  // refuse before measuring
  const auto limits = take(elrt::measure_machine_limits(command.threads));
  nlohmann::json result = {{"threads", limits.threads},
                           {"repeats", command.repeats},
                           {"kv_type", elrt::kv_type_name(command.kv_type)},
                           {"memory_bytes_per_s", limits.memory_bytes_per_s},
                           {"float_ops_per_s", limits.float_ops_per_s},
                           {"bf16_ops_per_s", limits.bf16_ops_per_s},
                           {"byte_ops_per_s", limits.byte_ops_per_s},
                           {"levels", nlohmann::json::array()},
                           {"start", nlohmann::json::array()},
                           {"adapters", nlohmann::json::array()},
                           {"drafting", nlohmann::json::array()}};
  for (const std::string& file : command.files) bench_file(command, file, limits, result);
  command.json ? print_json(result) : print_bench_table(result);
}

}  // namespace

void register_bench(CLI::App& app) {
  auto command = std::make_shared<BenchCommand>();
  CLI::App* sub = app.add_subcommand("bench", "measure speed and memory per level");
  sub->add_option("file", command->files, "one artifact or several, as of several types")->required();
  sub->add_option("--threads", command->threads, "threads; 0: one per core")
      ->check(common::in_range(0, 1024))
      ->capture_default_str();
  sub->add_flag("--json", command->json, "print one JSON object to stdout");
  sub->add_option("--levels", command->levels, "levels, separated by commas; default: all")->delimiter(',');
  auto* prompt = sub->add_option("--prompt-tokens", command->prompt_tokens, "tokens read at once")
                     ->check(common::in_range(1, 1 << 24))
                     ->capture_default_str();
  auto* gen = sub->add_option("--gen-tokens", command->gen_tokens, "tokens decoded one by one")
                  ->check(common::in_range(1, 1 << 24))
                  ->capture_default_str();
  sub->add_option("--repeats", command->repeats, "runs per level; medians are reported")
      ->check(common::in_range(1, 1000))
      ->capture_default_str();
  add_kv_type_option(*sub, command->kv_type);
  sub->add_flag("--reclaim", command->reclaim,
                "measure memory from the largest level down, giving unused pages back at each");
  sub->add_flag("--adapter-cost", command->adapter_cost,
                "measure what each level's adapter adds, in turns with the level without it");
  sub->add_option("--draft-levels", command->draft_levels,
                  "measure generation at the largest level with drafts of each of these")
      ->delimiter(',');
  sub->add_option("--draft-tokens", command->draft_tokens, "guesses in a row at most")
      ->check(common::in_range(1, elrt::kMaxDraftTokens))
      ->capture_default_str();
  sub->add_option("--prompt", command->prompt, "the text after which --draft-levels generates; default: random tokens");
  sub->footer(
      "Shares are of what this machine does at most, measured in the same run: decoding's of the memory bandwidth, "
      "prefill's of the\n"
      "peak arithmetic in the type that is multiplied. file MB: what of the artifact is in memory.\n"
      "Examples:\n"
      "  elastic-run bench model.gguf --levels 20,50,100 --prompt-tokens 512 --gen-tokens 64 --threads 2 --json\n"
      "  elastic-run bench f16/model.gguf q8_0/model.gguf --levels 50,100 --kv-type f16 --reclaim\n"
      "  elastic-run bench model.gguf --levels 100 --draft-levels 20,50 --prompt \"Once upon a time\"");
  sub->callback([command, prompt, gen] {
    command->prompt_given = prompt->count() > 0;
    command->gen_given = gen->count() > 0;
    run(*command);
  });
}

}  // namespace elastic_run
