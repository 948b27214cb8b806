// An elastic artifact's header: elrt/gguf_file.hpp with the rules of elrt/format.h.
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

}  // namespace elrt
