#include "baselines/latency.h"

#include <elrt/artifact.hpp>
#include <elrt/calibrate.hpp>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/runtime_result.h"
#include "model/adapter.h"

namespace elastify {
namespace {

// Of the right shapes; its values cost no time.
Adapter any_adapter(const LatencyRequest& request) {
  std::vector<Target> targets;
  for (const auto& name : request.finetune.targets) targets.push_back(parse_target(name));
  const ModelWeights weights = load_weights(request.checkpoint, torch::kCPU, torch::kFloat32);
  Adapter adapter = make_adapter(slice_weights(weights, request.plan.widths), targets, request.finetune.rank,
                                 request.finetune.alpha, 0, 1);
  for (auto& block : adapter.blocks) {
    for (LoraPair& pair : block) {
      if (pair.defined()) pair = {pair.a.detach(), pair.b.detach()};
    }
  }
  return adapter;
}

void pack_level(const LatencyRequest& request) {
  const ModelConfig& config = request.checkpoint.config();
  LevelPlan full;
  full.widths = full_widths(config);
  const ElasticPlan plan{"even", 32, {}, {request.plan, full}};
  PackInputs inputs{request.checkpoint, plan, request.tokenizer, {}, {}, "baseline", {}};
  if (request.adapter) inputs.adapters.emplace(request.plan.level, any_adapter(request));
  fs::create_directories(request.artifact.parent_path());
  write_artifact(request.artifact, inputs, request.pack);
}

nlohmann::json measure(const LatencyRequest& request) {
  const elrt::Artifact artifact = take(elrt::Artifact::open(request.artifact));
  elrt::CalibrateOptions options;
  options.threads = static_cast<std::uint32_t>(request.threads);
  options.repeats = static_cast<std::uint32_t>(request.repeats);
  options.lengths = {static_cast<std::uint32_t>(
      std::min<std::int64_t>(request.prompt_tokens, static_cast<std::int64_t>(artifact.shape().context)))};
  auto measured = elrt::calibrate(artifact, options, [](double) { return interrupted() == 0; });
  stop_if_interrupted();
  const elrt::LatencyTable table = take(std::move(measured));
  const auto level = static_cast<std::uint32_t>(request.plan.level);
  const std::uint32_t tokens = options.lengths[0];
  const double ttft = table.ttft_ms(level, tokens), tpot = table.tpot_ms(level, tokens);
  const double full_ttft = table.ttft_ms(100, tokens), full_tpot = table.tpot_ms(100, tokens);
  const std::uint64_t bytes = take(artifact.level(level)).bytes_per_token;
  const std::uint64_t full_bytes = take(artifact.level(100)).bytes_per_token;
  return {{"source", "measured"},
          {"dtype", request.pack.dtype},
          {"prompt_tokens", tokens},
          {"ttft_ms", ttft},
          {"tpot_ms", tpot},
          {"full_ttft_ms", full_ttft},
          {"full_tpot_ms", full_tpot},
          {"ttft_share", ttft / full_ttft},
          {"tpot_share", tpot / full_tpot},
          {"bytes", bytes},
          {"full_bytes", full_bytes},
          {"bytes_share", static_cast<double>(bytes) / static_cast<double>(full_bytes)}};
}

}  // namespace

nlohmann::json measure_latency(const LatencyRequest& request) {
  nlohmann::json result;
  try {
    pack_level(request);
    result = measure(request);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInternal) throw;
    spdlog::warn("latency of level {} is counted, not measured: {}", request.plan.level, error.what());
    result = counted_latency(request.plan.total_ratio, request.plan.total_ratio, error.what());
  }
  std::error_code ignored;
  fs::remove(request.artifact, ignored);
  return result;
}

nlohmann::json counted_latency(double ttft_share, double weight_share, const std::string& why) {
  return {{"source", "counted"},
          {"why", why},
          {"ttft_share", ttft_share},
          {"tpot_share", weight_share},
          {"bytes_share", weight_share}};
}

}  // namespace elastify
