#include "tlm/train_progress.h"

#include "base/error.h"
#include "checkpoint/safetensors.h"

namespace elastify {
namespace {

const StoredTensor& stored(const StoredTensors& tensors, const fs::path& path, const std::string& name) {
  const auto found = tensors.find(name);
  if (found == tensors.end())
    fail_data("{}: expected a tensor {}, found none; remove the file to start that phase again", path.string(), name);
  return found->second;
}

}  // namespace

void save_train_progress(const fs::path& path, const FlatSlots& flat, const TlmTrainResult& result) {
  std::map<std::string, torch::Tensor> tensors = flat.state();
  for (auto& [name, tensor] : tensors) tensor = tensor.detach();
  tensors["steps"] = torch::tensor({flat.steps()}, torch::kInt64);
  tensors["losses"] = torch::tensor(result.losses, torch::kFloat64);
  write_safetensors(path, tensors);
}

std::int64_t load_train_progress(const fs::path& path, FlatSlots& flat, TlmTrainResult& result) {
  if (!fs::exists(path)) return 0;
  torch::NoGradGuard no_grad;
  const StoredTensors tensors = open_safetensors(path);
  for (auto& [name, tensor] : flat.state()) {
    const StoredTensor& found = stored(tensors, path, name);
    torch::Tensor target = tensor.detach();
    if (found.shape != target.sizes().vec()) {
      fail_data("{}: {} has {} values, expected {}; remove the file to start that phase again", path.string(), name,
                found.view().numel(), target.numel());
    }
    target.copy_(found.view());
  }
  const torch::Tensor losses = stored(tensors, path, "losses").view().to(torch::kFloat64).contiguous(),
                      steps = stored(tensors, path, "steps").view();
  if (steps.numel() != 1 || steps[0].item<std::int64_t>() < 0)
    fail_data("{}: no count of steps; remove the file to start that phase again", path.string());
  result.losses.assign(losses.data_ptr<double>(), losses.data_ptr<double>() + losses.numel());
  flat.set_steps(steps[0].item<std::int64_t>());
  return flat.steps();
}

}  // namespace elastify
