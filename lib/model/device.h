// Where tensors live and how many threads compute.
#pragma once

#include <string>

#include "base/torch.h"
#include "checkpoint/model_config.h"

namespace elastify {

// "cpu", "cuda" or "cuda:N". Throws Error(kUsage) on another word and on a device that is not there.
torch::Device parse_device(const std::string& name);

// LibTorch's threads. 0: all cores, unless the model is so small that starting a thread costs more than it computes.
void set_compute_threads(std::int64_t threads, const ModelConfig& model);

}  // namespace elastify
