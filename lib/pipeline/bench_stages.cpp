#include "pipeline/bench_stages.h"

#include <algorithm>

#include "finetune/finetune.h"
#include "finetune/full_step.h"
#include "model/device.h"
#include "profile/time_ratio.h"

namespace elastify {
namespace {

TokenRows random_rows(const ModelConfig& model, std::int64_t rows, std::int64_t seq) {
  torch::manual_seed(1);
  const torch::Tensor ids =
      torch::randint(model.vocab_size, {rows, std::min(seq, model.max_positions) + 1}, torch::kInt64);
  return {ids.slice(1, 0, -1).contiguous(), ids.slice(1, 1).contiguous()};
}

}  // namespace

json bench_stages(const PipelineConfig& config) {
  constexpr int kSteps = 5;
  const Checkpoint checkpoint = Checkpoint::open(config.checkpoint);
  const ModelConfig& model = checkpoint.config();
  const torch::Device device = parse_device(config.device);
  set_compute_threads(config.threads, model);
  const ProfileConfig& profile = config.profile;
  TimeRatio ratio;
  if (profile.method == "fisher" || profile.method == "taylor2" || profile.method == "taylor") {
    const Decoder decoder(load_weights(checkpoint, device, torch::kFloat32));
    ratio = time_profile_ratio(decoder, random_rows(model, profile.batch_rows, profile.seq), profile.batch_rows,
                               profile.method);
  }
  const FinetuneConfig& finetune = config.finetune;
  const ModelWeights weights = load_weights(checkpoint, device, finetune_dtype(finetune.dtype, device));
  const TokenRows rows = random_rows(model, finetune.batch_rows, finetune.seq);
  return {{"profile",
           {{"method", profile.method},
            {"time_ratio", ratio.ratio()},
            {"time_ratio_activations", ratio.activations_ratio()}}},
          {"finetune", {{"full_step_seconds", time_full_step(weights, rows, finetune, kSteps)}}}};
}

}  // namespace elastify
