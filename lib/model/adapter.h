// A level's LoRA (Hu et al. 2021): y = W x + s B (A x), s = alpha / rank, base frozen, never merged.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "base/torch.h"
#include "model/weights.h"

namespace elastify {

enum class Target { kQ, kK, kV, kO, kGate, kUp, kDown };
// In the order of block_matrices().
inline constexpr std::array<const char*, 7> kTargetNames = {"q", "k", "v", "o", "gate", "up", "down"};
static_assert(kTargetNames.size() == std::size(elrt::format::tensor::kAdapterTargets));
// Throws Error(kUsage) on another word.
Target parse_target(const std::string& name);

struct LoraPair {
  torch::Tensor a;  // [rank, inputs of the sliced projection]
  torch::Tensor b;  // [outputs of the sliced projection, rank]
  bool defined() const { return a.defined(); }
};

struct Adapter {
  std::int64_t rank = 0;
  double scale = 1;    // s
  double dropout = 0;  // on x, while training only
  // [layer][target]; undefined where the target is not adapted, or where the level keeps none of its units.
  std::vector<std::array<LoraPair, 7>> blocks;

  std::vector<torch::Tensor> parameters() const;
  std::int64_t weight_count() const;
};

// A drawn from U(-1/sqrt(inputs), 1/sqrt(inputs)), as the reference implementation's Kaiming rule gives; B zero.
Adapter make_adapter(const ModelWeights& sliced, const std::vector<Target>& targets, std::int64_t rank, double alpha,
                     double dropout, std::uint64_t seed);

// The part of a larger level's adapter that acts on the units a smaller level keeps: levels nest, so its rows and
// columns are prefixes. Views, no copies. Throws Error(kInternal) where the widths do not fit.
Adapter slice_adapter(const Adapter& adapter, const ModelConfig& config, const LevelWidths& widths);

// The same sub-model with W + s B A in place of W: an oracle for the unmerged forward pass.
ModelWeights merge_adapter(const ModelWeights& sliced, const Adapter& adapter);

// adapter.safetensors (F16, names "layers.3.q.lora_a") and adapter_config.json. What is evaluated is what ships, so
// callers round with round_to_half() first. Both functions throw Error on failure.
// `scales`: of every level that it is for, which adapter_config.json names; empty: says nothing of levels.
void save_adapter(const fs::path& directory, const Adapter& adapter, const std::map<std::int64_t, double>& scales = {});
Adapter load_adapter(const fs::path& directory, const ModelConfig& config, torch::Device device,
                     torch::ScalarType dtype);
Adapter round_to_half(const Adapter& adapter);

}  // namespace elastify
