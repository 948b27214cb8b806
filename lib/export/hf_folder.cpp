#include "export/hf_folder.h"

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "checkpoint/checkpoint.h"
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
  const auto expected = expected_tensors(config);
  std::vector<SafetensorsWriter::Entry> entries;
  for (const auto& [name, shape] : expected) entries.push_back({name, type, shape});
  SafetensorsWriter writer(file, entries, {{"format", "pt"}});
  Progress progress("export", static_cast<std::int64_t>(expected.size()), "tensors");
  std::int64_t done = 0;
  const auto write = [&](const std::string& name, const torch::Tensor& values) {
    stop_if_interrupted();
    writer.write(to_float_type(values, type, name));
    progress.update(++done);
  };
  write(kEmbeddingName, tensors.source.model_tensor(kEmbeddingName));
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    for (const BlockTensor& part : block_tensors(config))
      write(block_tensor_name(layer, part.name), tensors.block(layer, part));
  }
  write(kFinalNormName, tensors.source.model_tensor(kFinalNormName));
  if (!config.tied_embeddings) write(kHeadName, tensors.source.model_tensor(kHeadName));
  writer.commit();
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
