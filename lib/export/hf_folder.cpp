#include "export/hf_folder.h"

#include "base/error.h"
#include "checkpoint/hf_layout.h"
#include "export/hf_tokenizer.h"
#include "export/level_tensors.h"
#include "tokenizer/special.h"

namespace elastify {
namespace {

const char* long_name(torch::ScalarType type) {
  if (type == torch::kFloat16) return "float16";
  return type == torch::kBFloat16 ? "bfloat16" : "float32";
}

void refuse_unknown_scaling(const LevelFacts& facts) {
  if (facts.config.rope_scaling.kind != RopeScaling::Kind::kNone || !facts.rope_factors.defined()) return;
  fail_usage(
      "{} holds scaled rotary frequencies that are neither linear nor Llama 3's with its usual factors, which a "
      "Hugging "
      "Face configuration could say: export from the run directory, or with --format gguf",
      facts.path.string());
}

void write_weights(const LevelTensors& tensors, const ModelConfig& config, torch::ScalarType type,
                   const fs::path& file) {
  write_hf_weights(
      file, config, [&](const ModelTensor&) { return type; },
      [&](const ModelTensor& wanted) {
        const torch::Tensor values = wanted.part == nullptr ? tensors.source.model_tensor(wanted.name)
                                                            : tensors.block(wanted.layer, *wanted.part);
        return to_float_type(values, type, wanted.name);
      },
      [](const ModelTensor&) {}, "export");
}

}  // namespace

ExportSummary write_hf(const LevelSource& source, const ExportOptions& options, bool merge, const fs::path& folder) {
  const LevelFacts& facts = source.facts();
  refuse_unknown_scaling(facts);
  ExportSummary summary;
  summary.dtype = float_dtype(options, facts);
  const torch::ScalarType type = float_type(summary.dtype);
  summary.shape = shape_of(facts.widths);
  pad_for(options, facts, "a Hugging Face configuration has one width for all layers", summary.shape, summary.notes);
  ModelConfig config = one_width_config(facts.config, summary.shape);
  config.dtype = long_name(type);
  summary.architecture = config.architecture;
  summary.weights = config.weights_outside_blocks() + config.num_layers * config.weights_per_block();
  nlohmann::json document = model_config_to_hf(config);
  write_text_ends(facts.tokenizer, document);
  write_json(folder / "config.json", document);
  write_hf_tokenizer(facts, folder, summary.notes);
  write_weights({source, summary.shape, merge}, config, type, folder / "model.safetensors");
  return summary;
}

}  // namespace elastify
