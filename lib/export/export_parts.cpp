#include "export/export_parts.h"

#include "base/error.h"

namespace elastify {

void pad_for(const ExportOptions& options, const LevelFacts& facts, const std::string& why, ExportShape& shape,
             ExportNotes& notes) {
  if (shape.one_width()) return;
  if (!options.pad) {
    fail_usage(
        "level {} keeps different numbers of units in its layers, and {}: export without --no-pad, or with "
        "--format gguf where llama.cpp has such layers for the model",
        facts.level, why);
  }
  constexpr std::int64_t kFewNeurons = 32;
  pad_to_widest(shape, std::min(kFewNeurons, facts.config.intermediate_size));
  notes.push_back(
      fmt::format("{}: units of zeros fill every layer up to {} KV groups and {} neurons; they change nothing "
                  "but size and speed",
                  why, shape.written.kv_groups.front(), shape.written.neurons.front()));
}

std::string float_dtype(const ExportOptions& options, const LevelFacts& facts) {
  std::string dtype = options.dtype;
  if (dtype == "same") dtype = facts.dtype == "f32" || facts.dtype == "bf16" ? facts.dtype : "f16";
  if (dtype != "f32" && dtype != "f16" && dtype != "bf16")
    fail_usage("--dtype {} is not for --format {}: expected f32, f16 or bf16", dtype, options.format);
  return dtype;
}

torch::ScalarType float_type(const std::string& dtype) {
  if (dtype == "f16") return torch::kFloat16;
  return dtype == "bf16" ? torch::kBFloat16 : torch::kFloat32;
}

torch::Tensor to_float_type(const torch::Tensor& values, torch::ScalarType type, const std::string& name) {
  torch::Tensor converted = values.to(type);
  if (type == torch::kFloat16 && !torch::isfinite(converted).all().item<bool>())
    fail_data("tensor {} holds values beyond float16's range of 65504: export with --dtype f32 or bf16", name);
  return converted;
}

}  // namespace elastify
