// The header of a GGUF v3 file: key-values and tensor infos (the public GGUF specification, version 3).
#pragma once

#include <elrt/gguf.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace elastify {

struct GgufInfo {
  std::string name;
  std::uint32_t type = 0;           // of the specification
  std::vector<std::int64_t> shape;  // outermost first, as in torch; GGUF lists them the other way round
  std::uint64_t bytes = 0;          // of the tensor, without padding
};

// `offset`, or the next multiple of `alignment` above it.
std::uint64_t gguf_aligned(std::uint64_t offset, std::uint64_t alignment);

// The bytes before the first tensor, padded to `alignment`; tensors follow each other in order, each at a multiple of
// it.
std::string gguf_header(const elrt::gguf::Metadata& metadata, const std::vector<GgufInfo>& tensors,
                        std::uint64_t alignment);

}  // namespace elastify
