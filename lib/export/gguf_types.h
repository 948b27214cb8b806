// Matrices as bytes of the types of GGUF that an export writes, in GGUF's own order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/torch.h"

namespace elastify {

struct GgufType {
  const char* name;             // as --dtype has it
  std::uint32_t type;           // ggml_type
  std::uint32_t file_type;      // llama_ftype, general.file_type
  std::int64_t weights, bytes;  // of a block
};

// f32, f16, bf16, q8_0, iq4_nl or q4_0.
const GgufType& gguf_type(const std::string& dtype);

// The type that rows of `columns` weights get where `wanted` is asked for: the same, or f16 where its blocks do not
// divide a row.
const GgufType& type_for_rows(const GgufType& wanted, std::int64_t columns);

// `values` [.., columns] float32 -> its bytes, uint8. Throws Error(kBadData), naming the tensor, where a value does not
// fit the type.
torch::Tensor to_gguf_bytes(const torch::Tensor& values, const GgufType& type, const std::string& name);

}  // namespace elastify
