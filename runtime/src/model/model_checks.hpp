// The steps that turn a GGUF header into a Model. Each reads what earlier steps proved and returns the first problem.
#pragma once

#include <string>

#include "elrt/result.hpp"
#include "model/model.hpp"

namespace elrt {

// Architecture, format version and the model's dimensions.
Result<void> read_shape(const gguf::Metadata& metadata, ModelShape* shape);

// Levels, plan, ranks and scales of adapters; needs the shape.
Result<void> read_levels(Model* model);

// Looks up every tensor and checks its type and dimensions; needs shape and levels.
Result<void> bind_tensors(Model* model);

}  // namespace elrt
