#include "train/training_state.h"

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "checkpoint/safetensors.h"

namespace elastify {
namespace {

constexpr std::int64_t kVersion = 1;
constexpr const char* kVersionName = "state.version";
constexpr const char* kKeyName = "state.key";

torch::Tensor whole(std::int64_t value) { return torch::full({1}, value, torch::kInt64); }

torch::Tensor reals(const std::vector<double>& values) { return torch::tensor(values, torch::kFloat64); }

std::int64_t key_number(const std::string& key) {
  return static_cast<std::int64_t>(checksum64(key.data(), key.size()));
}

bool holds(const StoredTensors& stored, const std::string& name, std::int64_t value) {
  const auto found = stored.find(name);
  if (found == stored.end() || found->second.dtype != torch::kInt64 ||
      found->second.shape != std::vector<std::int64_t>{1})
    return false;
  return found->second.view().item<std::int64_t>() == value;
}

}  // namespace

void TrainingState::put(const std::string& name, const torch::Tensor& tensor) { tensors_[name] = tensor.detach(); }
void TrainingState::put_count(const std::string& name, std::int64_t value) { tensors_[name] = whole(value); }
void TrainingState::put_figure(const std::string& name, double value) { tensors_[name] = reals({value}); }
void TrainingState::put_figures(const std::string& name, const std::vector<double>& values) {
  tensors_[name] = reals(values);
}

void TrainingState::put_optimizer(const std::string& name, const FlatAdamW& optimizer) {
  put(name + ".mean", optimizer.mean());
  put(name + ".square", optimizer.square());
  put_count(name + ".steps", optimizer.steps());
}

torch::Tensor TrainingState::tensor(const std::string& name, const torch::Tensor& like) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end() || found->second.scalar_type() != like.scalar_type() ||
      found->second.sizes() != like.sizes()) {
    fail_data("{}: expected {} of shape [{}]; remove the file to start again", path_.string(), name,
              fmt::join(like.sizes(), ", "));
  }
  return found->second;
}

std::int64_t TrainingState::count(const std::string& name) const { return tensor(name, whole(0)).item<std::int64_t>(); }
double TrainingState::figure(const std::string& name) const { return tensor(name, reals({0})).item<double>(); }

std::vector<double> TrainingState::figures(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end() || found->second.scalar_type() != torch::kFloat64 || found->second.dim() != 1)
    fail_data("{}: expected a list of numbers {}; remove the file to start again", path_.string(), name);
  const torch::Tensor values = found->second.contiguous();
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

void TrainingState::copy_to(const std::string& name, torch::Tensor target) const {
  const torch::NoGradGuard no_grad;
  target.copy_(tensor(name, target));
}

void TrainingState::restore_optimizer(const std::string& name, FlatAdamW& optimizer) const {
  copy_to(name + ".mean", optimizer.mean());
  copy_to(name + ".square", optimizer.square());
  optimizer.set_steps(count(name + ".steps"));
}

void TrainingState::save(const fs::path& path, const std::string& key) const {
  auto all = tensors_;
  all[kVersionName] = whole(kVersion);
  all[kKeyName] = whole(key_number(key));
  write_safetensors(path, all);
}

std::optional<TrainingState> TrainingState::load(const fs::path& path, const std::string& key) {
  if (!fs::exists(path)) return std::nullopt;
  const StoredTensors stored = open_safetensors(path);
  if (!holds(stored, kVersionName, kVersion)) {
    spdlog::info("{} was written by another version of this tool: that part starts again", path.string());
    return std::nullopt;
  }
  if (!holds(stored, kKeyName, key_number(key))) {
    spdlog::info("{} belongs to other inputs or settings: that part starts again", path.string());
    return std::nullopt;
  }
  TrainingState state;
  state.path_ = path;
  for (const auto& [name, tensor] : stored) state.tensors_[name] = tensor.view();
  return state;
}

}  // namespace elastify
