// Writes GGUF v3 files tensor by tensor (reference: the public GGUF specification, version 3).
#pragma once

#include <elrt/artifact.hpp>
#include <elrt/gguf.hpp>

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/torch.h"

namespace elastify {

struct MadeTensor {
  torch::Tensor values;  // on the CPU: of the announced shape and type, or, where that is quantised, its bytes (uint8)
  float quantisation_error = NAN;  // relative RMS; NaN: not quantised
};

// One tensor of the file; its contents are made when its turn comes, so that a model larger than memory passes through.
struct WrittenTensor {
  std::string name;
  elrt::TensorType type = elrt::TensorType::kF32;
  std::vector<std::int64_t> shape;  // outermost first, as in torch; GGUF lists them the other way round
  std::function<MadeTensor()> make;
};

// Bytes that `tensor` takes in the file, without padding.
std::int64_t stored_bytes(const WrittenTensor& tensor);

// Writes `path` atomically: key-values, tensor infos, tensors at multiples of 64 bytes. Adds general.alignment and
// elastic.checksum.values (XXH3-64 of each tensor's bytes); where a tensor is quantised also
// elastic.quantisation_error. `progress` receives the number of bytes of tensors written. Returns each tensor's
// quantisation error.
std::vector<float> write_gguf(const fs::path& path, elrt::gguf::Metadata metadata,
                              const std::vector<WrittenTensor>& tensors,
                              const std::function<void(std::int64_t)>& progress = {});

}  // namespace elastify
