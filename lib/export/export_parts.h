// What the formats share.
#pragma once

#include <string>
#include <vector>

#include "export/export.h"
#include "export/export_shape.h"
#include "export/level_source.h"

namespace elastify {

using ExportNotes = std::vector<std::string>;

// What a format wrote.
struct ExportSummary {
  std::string architecture, dtype;
  ExportShape shape;
  std::int64_t weights = 0;
  ExportNotes notes;
};

// Units of zeros up to the widest layer's, with a note where that adds any. Throws Error(kUsage) where `options.pad` is
// false and layers differ; `why`: what cannot hold them.
void pad_for(const ExportOptions& options, const LevelFacts& facts, const std::string& why, ExportShape& shape,
             ExportNotes& notes);

// The type of floats that "same" stands for: the source's own, f16 where that is quantised.
std::string float_dtype(const ExportOptions& options, const LevelFacts& facts);
torch::ScalarType float_type(const std::string& dtype);  // f32, f16, bf16

// Throws Error(kBadData), naming the tensor, where a finite value becomes infinite.
torch::Tensor to_float_type(const torch::Tensor& values, torch::ScalarType type, const std::string& name);

}  // namespace elastify
