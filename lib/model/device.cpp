#include "model/device.h"

#include <algorithm>
#include <thread>

#include "base/error.h"

namespace elastify {

torch::Device parse_device(const std::string& name) {
  try {
    const torch::Device device(name);
    if (device.is_cpu()) return device;
    if (device.is_cuda()) {
      if (torch::cuda::is_available()) return device;
      fail_usage("device {} is not available: this LibTorch has no CUDA or sees no GPU; use --set device=cpu", name);
    }
  } catch (const c10::Error&) {
  }
  fail_usage("device '{}' is unknown: expected cpu, cuda or cuda:N", name);
}

void set_compute_threads(std::int64_t threads, const ModelConfig& model) {
  constexpr std::int64_t kSmallModel = 4'000'000;  // weights; measured: at 0.3 M a second core brings nothing
  const std::int64_t weights = model.weights_outside_blocks() + model.num_layers * model.weights_per_block();
  if (threads == 0)
    threads = weights < kSmallModel ? 1 : static_cast<std::int64_t>(std::thread::hardware_concurrency());
  torch::set_num_threads(static_cast<int>(std::max<std::int64_t>(1, threads)));
}

}  // namespace elastify
