// Reads a GGUF v3 header from hostile bytes: key-values and tensor infos, with every count, size and offset checked.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "elrt/gguf.hpp"
#include "elrt/result.hpp"
#include "elrt/tensor_type.hpp"

namespace elrt {

struct GgufHeader {
  gguf::Metadata metadata;
  std::vector<TensorInfo> tensors;  // file order; data pointers lie inside `file`
};

// Reads nothing after the header. Tensors are proven aligned, inside the file and disjoint.
Result<GgufHeader> read_gguf_header(std::span<const std::byte> file);

// The key-values up to the first that cannot be read: for messages about files that are no artifacts.
gguf::Metadata readable_metadata(std::span<const std::byte> file);

}  // namespace elrt
