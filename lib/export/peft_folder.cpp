#include "export/peft_folder.h"

#include "base/error.h"
#include "export/hf_folder.h"
#include "export/level_tensors.h"

namespace elastify {
namespace {

using nlohmann::json;

// "self_attn.q_proj" of "self_attn.q_proj.weight"
std::string module_of(const BlockTensor& matrix) {
  const std::string name = matrix.name;
  return name.substr(0, name.rfind('.'));
}

json adapter_config(const LevelFacts& facts, const fs::path& base) {
  json modules = json::array();
  for (std::size_t target = 0; target < block_matrices().size(); ++target) {
    const std::string module = module_of(block_matrices()[target]);
    if (adapts(*facts.adapter, target)) modules.push_back(module.substr(module.find('.') + 1));
  }
  const auto rank = static_cast<double>(facts.adapter->rank);
  return {{"peft_type", "LORA"},
          {"task_type", "CAUSAL_LM"},
          {"base_model_name_or_path", base.string()},
          {"r", facts.adapter->rank},
          {"lora_alpha", facts.adapter->scale * rank},
          {"lora_dropout", 0.0},
          {"bias", "none"},
          {"fan_in_fan_out", false},
          {"inference_mode", true},
          {"target_modules", modules}};
}

std::map<std::string, torch::Tensor> adapter_tensors(const LevelTensors& level, torch::ScalarType type) {
  std::map<std::string, torch::Tensor> tensors;
  for (std::int64_t layer = 0; layer < level.shape.count(); ++layer) {
    for (std::size_t target = 0; target < block_matrices().size(); ++target) {
      if (!adapts(*level.source.facts().adapter, target)) continue;
      const std::string name = "base_model.model." + block_tensor_name(layer, module_of(block_matrices()[target]));
      const LoraPair pair = level.lora(layer, target);
      tensors[name + ".lora_A.weight"] = to_float_type(pair.a, type, name).contiguous();
      tensors[name + ".lora_B.weight"] = to_float_type(pair.b, type, name).contiguous();
    }
  }
  return tensors;
}

}  // namespace

ExportSummary write_peft(const LevelSource& source, const ExportOptions& options, const fs::path& folder) {
  const LevelFacts& facts = source.facts();
  if (!facts.adapter)
    fail_usage("level {} of {} has no adapter: export it with --format hf", facts.level, facts.path.string());
  if (facts.config.architecture == "phi3")
    fail_usage(
        "Phi-3 multiplies by several of our matrices at once, which separate adapters do not fit: export with "
        "--format hf, which merges them");
  if (!options.adapter) fail_usage("--format peft writes the adapter: --no-adapter is for --format hf");
  fs::create_directory(folder / "base");
  ExportSummary summary = write_hf(source, options, false, folder / "base");
  const fs::path base = fs::weakly_canonical(fs::absolute(options.out)) / "base";
  write_json(folder / "adapter_config.json", adapter_config(facts, base));
  write_safetensors(folder / "adapter_model.safetensors",
                    adapter_tensors({source, summary.shape, false}, float_type(summary.dtype)), {{"format", "pt"}});
  return summary;
}

}  // namespace elastify
