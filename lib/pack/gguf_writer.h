// Writes GGUF v3 files tensor by tensor (reference: the public GGUF specification, version 3).
#pragma once

#include <elrt/gguf.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/files.h"
#include "model/torch.h"

namespace elastify {

// One tensor of the file; its contents are made when its turn comes, so that a model larger than memory passes through.
struct GgufTensor {
  std::string name;
  torch::ScalarType dtype = torch::kFloat32;  // kFloat32 or kFloat16
  std::vector<std::int64_t> shape;            // outermost first, as in torch; GGUF lists them the other way round
  std::function<torch::Tensor()> make;        // a CPU tensor of that dtype and shape
};

// Writes `path` atomically: key-values, tensor infos, tensors at multiples of 64 bytes. Adds general.alignment and
// elastic.checksum.values (XXH3-64 of each tensor's bytes). `progress` receives the number of bytes of tensors written.
void write_gguf(const fs::path& path, elrt::gguf::Metadata metadata, const std::vector<GgufTensor>& tensors,
                const std::function<void(std::int64_t)>& progress = {});

}  // namespace elastify
