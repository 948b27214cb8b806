// A file's tensor, and how its values are stored: the types of the GGUF specification that an elastic artifact uses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "elrt/export.h"

namespace elrt {

enum class TensorType : std::uint32_t { kF32 = 0, kF16 = 1, kQ4_0 = 2, kQ8_0 = 8, kIq4Nl = 20, kBF16 = 30 };

// In panels of blocks that share a scale (elrt/format.h, LAYOUT).
constexpr bool is_quantised(TensorType type) {
  return type == TensorType::kQ8_0 || type == TensorType::kQ4_0 || type == TensorType::kIq4Nl;
}

// "F32", "F16", "Q4_0", "Q8_0", "IQ4_NL", "BF16".
ELRT_API const char* type_name(TensorType type);

// One tensor of the file. `dims` lists the contiguous dimension first. `data` points into the mapping.
struct TensorInfo {
  std::string name;
  TensorType type = TensorType::kF32;
  std::vector<std::uint64_t> dims;
  std::uint64_t file_offset = 0;  // from the start of the file
  std::uint64_t bytes = 0;
  const std::byte* data = nullptr;
};

}  // namespace elrt
