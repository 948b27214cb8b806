#include "model/adapter.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

#include "base/error.h"
#include "base/hash.h"

namespace elastify {
namespace {

const BlockTensor& matrix_of(Target target) { return block_matrices()[static_cast<std::size_t>(target)]; }

std::string pair_name(std::size_t layer, std::size_t target, const char* half) {
  return fmt::format("layers.{}.{}.lora_{}", layer, kTargetNames[target], half);
}

template <typename F>
void for_each_pair(const Adapter& adapter, F&& visit) {
  for (std::size_t layer = 0; layer < adapter.blocks.size(); ++layer) {
    for (std::size_t target = 0; target < kTargetNames.size(); ++target) {
      if (adapter.blocks[layer][target].defined()) visit(layer, target, adapter.blocks[layer][target]);
    }
  }
}

}  // namespace

Target parse_target(const std::string& name) {
  for (std::size_t i = 0; i < kTargetNames.size(); ++i) {
    if (name == kTargetNames[i]) return static_cast<Target>(i);
  }
  fail_usage("adapter target '{}' is unknown: expected q, k, v, o, gate, up or down", name);
}

std::vector<torch::Tensor> Adapter::parameters() const {
  std::vector<torch::Tensor> all;
  for_each_pair(*this, [&](std::size_t, std::size_t, const LoraPair& pair) {
    all.insert(all.end(), {pair.a, pair.b});
  });
  return all;
}

std::int64_t Adapter::weight_count() const {
  std::int64_t count = 0;
  for (const auto& parameter : parameters()) count += parameter.numel();
  return count;
}

Adapter make_adapter(const ModelWeights& sliced, const std::vector<Target>& targets, std::int64_t rank, double alpha,
                     double dropout, std::uint64_t seed) {
  Adapter adapter{rank, alpha / static_cast<double>(rank), dropout, {}};
  adapter.blocks.resize(sliced.blocks.size());
  auto generator = at::detail::createCPUGenerator(seed);  // on the CPU, so that every device starts alike
  const auto device = sliced.embedding.device();
  for (std::size_t layer = 0; layer < sliced.blocks.size(); ++layer) {
    for (const Target target : targets) {
      const torch::Tensor& weight = sliced.blocks[layer].*matrix_of(target).field;
      if (weight.numel() == 0) continue;  // of an empty half
      const double bound = 1 / std::sqrt(static_cast<double>(weight.size(1)));
      LoraPair& pair = adapter.blocks[layer][static_cast<std::size_t>(target)];
      pair.a = torch::empty({rank, weight.size(1)}, torch::kFloat32)
                   .uniform_(-bound, bound, generator)
                   .to(device)
                   .requires_grad_();
      pair.b = torch::zeros({weight.size(0), rank}, torch::TensorOptions().dtype(torch::kFloat32).device(device))
                   .requires_grad_();
    }
  }
  return adapter;
}

Adapter slice_adapter(const Adapter& adapter, const ModelConfig& config, const LevelWidths& widths) {
  Adapter sliced = adapter;
  for_each_pair(adapter, [&](std::size_t layer, std::size_t index, const LoraPair& pair) {
    const BlockTensor& matrix = matrix_of(static_cast<Target>(index));
    const bool by_input = matrix.stored.by_input();
    const std::int64_t kept = matrix.unit_extent(block_widths(config, widths.kv_groups[layer], widths.neurons[layer]));
    const torch::Tensor& cut = by_input ? pair.a : pair.b;
    const std::int64_t dimension = by_input ? 1 : 0;
    require(kept <= cut.size(dimension), "layer {}: an adapter of width {} cannot be cut to {}", layer,
            cut.size(dimension), kept);
    LoraPair& result = sliced.blocks[layer][index];
    if (kept == 0) {
      result = {};
      return;
    }
    (by_input ? result.a : result.b) = cut.detach().narrow(dimension, 0, kept);
  });
  return sliced;
}

ModelWeights merge_adapter(const ModelWeights& sliced, const Adapter& adapter) {
  torch::NoGradGuard no_grad;
  ModelWeights merged = sliced;
  for_each_pair(adapter, [&](std::size_t layer, std::size_t target, const LoraPair& pair) {
    torch::Tensor& weight = merged.blocks[layer].*matrix_of(static_cast<Target>(target)).field;
    weight = weight + (pair.b.to(weight.dtype()).mm(pair.a.to(weight.dtype())) * adapter.scale);
  });
  return merged;
}

Adapter round_to_half(const Adapter& adapter) {
  torch::NoGradGuard no_grad;
  Adapter rounded = adapter;
  for (auto& block : rounded.blocks) {
    for (auto& pair : block) {
      if (pair.defined())
        pair = {pair.a.to(torch::kFloat16).to(pair.a.dtype()), pair.b.to(torch::kFloat16).to(pair.b.dtype())};
    }
  }
  return rounded;
}

void save_adapter(const fs::path& directory, const Adapter& adapter, const std::map<std::int64_t, double>& scales) {
  std::map<std::string, torch::Tensor> tensors;
  for_each_pair(adapter, [&](std::size_t layer, std::size_t target, const LoraPair& pair) {
    tensors[pair_name(layer, target, "a")] = pair.a.detach().to(torch::kFloat16);
    tensors[pair_name(layer, target, "b")] = pair.b.detach().to(torch::kFloat16);
  });
  write_safetensors(directory / "adapter.safetensors", tensors);
  nlohmann::json settings = {{"rank", adapter.rank}, {"scale", adapter.scale}};
  for (const auto& [level, scale] : scales) {
    settings["levels"].push_back(level);
    settings["scales"].push_back(scale);
  }
  write_json(directory / "adapter_config.json", settings);
}

Adapter load_adapter(const fs::path& directory, const ModelConfig& config, torch::Device device,
                     torch::ScalarType dtype) {
  const auto settings = read_json(directory / "adapter_config.json");
  const auto tensors = open_safetensors(directory / "adapter.safetensors");
  if (!settings.is_object() || !settings.value("rank", nlohmann::json()).is_number_integer() ||
      !settings.value("scale", nlohmann::json()).is_number()) {
    fail_data("{}: expected rank and scale", (directory / "adapter_config.json").string());
  }
  Adapter adapter{settings["rank"].get<std::int64_t>(), settings["scale"].get<double>(), 0, {}};
  adapter.blocks.resize(static_cast<std::size_t>(config.num_layers));
  std::size_t used = 0;
  for (std::size_t layer = 0; layer < adapter.blocks.size(); ++layer) {
    for (std::size_t target = 0; target < kTargetNames.size(); ++target) {
      const auto a = tensors.find(pair_name(layer, target, "a")), b = tensors.find(pair_name(layer, target, "b"));
      if (a == tensors.end() || b == tensors.end()) continue;
      adapter.blocks[layer][target] = {a->second.view().to(device, dtype), b->second.view().to(device, dtype)};
      used += 2;
    }
  }
  if (used != tensors.size())
    fail_data("{}: {} tensors do not belong to this model's layers", directory.string(), tensors.size() - used);
  return adapter;
}

}  // namespace elastify
