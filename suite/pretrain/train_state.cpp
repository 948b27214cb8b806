#include "pretrain/train_state.h"

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "checkpoint/safetensors.h"

namespace elastify {
namespace {

constexpr std::int64_t kCounts = 12;

std::int64_t key_number(const std::string& key) {
  return static_cast<std::int64_t>(checksum64(key.data(), key.size()));
}

torch::Tensor read(const StoredTensors& tensors, const fs::path& path, const std::string& name,
                   const std::vector<std::int64_t>& shape) {
  const auto found = tensors.find(name);
  if (found == tensors.end() || found->second.shape != shape) {
    fail_data("{}: expected a tensor {} of shape [{}]; remove the file to start again", path.string(), name,
              fmt::join(shape, ", "));
  }
  return found->second.view();
}

}  // namespace

void save_train_state(const fs::path& path, const TrainState& s, const std::string& key, const FlatModel& model,
                      const Optimizers& optimizers) {
  std::map<std::string, torch::Tensor> tensors;
  const std::vector<std::int64_t> counts = {key_number(key),
                                            s.step,
                                            s.first_document,
                                            s.next_batch,
                                            s.pool_answers,
                                            s.pool_right,
                                            s.tokens,
                                            s.bad_steps,
                                            static_cast<std::int64_t>(s.metrics_bytes),
                                            optimizers[0]->steps(),
                                            optimizers[1]->steps(),
                                            optimizers[2]->steps()};
  tensors["counts"] = torch::tensor(counts, torch::kInt64);
  tensors["seconds"] = torch::tensor({s.seconds}, torch::kFloat64);
  tensors["level"] = torch::tensor({s.level}, torch::kFloat64);
  for (std::size_t i = 0; i < optimizers.size(); ++i) {
    const std::string prefix = fmt::format("{}.", kBufferNames[i]);
    tensors[prefix + "values"] = model.values[i];
    for (const auto& [name, tensor] : optimizers[i]->state()) tensors[prefix + name] = tensor.detach();
  }
  write_safetensors(path, tensors);
}

std::optional<TrainState> load_train_state(const fs::path& path, const std::string& key, FlatModel& model,
                                           Optimizers& optimizers) {
  if (!fs::exists(path)) return std::nullopt;
  torch::NoGradGuard no_grad;
  const StoredTensors tensors = open_safetensors(path);
  const torch::Tensor counts = read(tensors, path, "counts", {kCounts});
  const auto count = [&](std::int64_t i) { return counts[i].item<std::int64_t>(); };
  if (count(0) != key_number(key)) {
    spdlog::info("{} belongs to other settings or data: training starts again", path.string());
    return std::nullopt;
  }
  TrainState s;
  s.step = count(1);
  s.first_document = count(2);
  s.next_batch = count(3);
  s.pool_answers = count(4);
  s.pool_right = count(5);
  s.tokens = count(6);
  s.bad_steps = count(7);
  s.metrics_bytes = static_cast<std::uint64_t>(count(8));
  s.seconds = read(tensors, path, "seconds", {1})[0].item<double>();
  s.level = read(tensors, path, "level", {1})[0].item<double>();
  for (std::size_t i = 0; i < optimizers.size(); ++i) {
    const std::string prefix = fmt::format("{}.", kBufferNames[i]);
    model.values[i].copy_(read(tensors, path, prefix + "values", model.values[i].sizes().vec()));
    for (auto& [name, tensor] : optimizers[i]->state()) {
      torch::Tensor target = tensor.detach();
      target.copy_(read(tensors, path, prefix + name, target.sizes().vec()));
    }
    optimizers[i]->set_steps(count(9 + static_cast<std::int64_t>(i)));
  }
  return s;
}

}  // namespace elastify
