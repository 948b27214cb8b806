#include "finetune/level_state.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "checkpoint/safetensors.h"

namespace elastify {
namespace {

torch::Tensor whole_numbers(std::vector<std::int64_t> values) { return torch::tensor(values, torch::kInt64); }
torch::Tensor real_numbers(const std::vector<double>& values) { return torch::tensor(values, torch::kFloat64); }

std::int64_t key_number(const std::string& key) {
  return static_cast<std::int64_t>(checksum64(key.data(), key.size()));
}

// The order of the numbers in the file's "counts" and "figures".
constexpr std::int64_t kCounts = 10, kFigures = 4;

const StoredTensor& entry(const StoredTensors& tensors, const fs::path& path, const char* name, std::int64_t size) {
  const auto found = tensors.find(name);
  if (found == tensors.end() || found->second.shape.size() != 1 || (size >= 0 && found->second.shape[0] != size)) {
    fail_data("{}: expected a tensor {} of {} values; remove its folder to start the level again", path.string(), name,
              size);
  }
  return found->second;
}

std::vector<double> read_reals(const torch::Tensor& tensor) {
  const torch::Tensor wide = tensor.to(torch::kFloat64).contiguous();
  return {wide.data_ptr<double>(), wide.data_ptr<double>() + wide.numel()};
}

}  // namespace

void save_level_state(const fs::path& path, const LevelState& s, const std::string& key, Stepper& stepper) {
  std::map<std::string, torch::Tensor> tensors;
  tensors["counts"] =
      whole_numbers({key_number(key), s.step, s.bad_steps, s.stale, s.best_step, s.line_steps, s.line_tokens,
                     static_cast<std::int64_t>(s.metrics_bytes), stepper.optimizer().steps(), s.best.defined()});
  tensors["figures"] = real_numbers({s.best_loss, s.line_loss, s.line_seconds, s.seconds});
  tensors["student_seconds"] = real_numbers(s.student_seconds);
  tensors["teacher_seconds"] = real_numbers(s.teacher_seconds);
  tensors["values"] = stepper.flat().values;
  tensors["mean"] = stepper.optimizer().mean();
  tensors["square"] = stepper.optimizer().square();
  tensors["best"] = s.best.defined() ? s.best : stepper.flat().values;
  write_safetensors(path, tensors);
}

std::optional<LevelState> load_level_state(const fs::path& path, const std::string& key, Stepper& stepper) {
  if (!fs::exists(path)) return std::nullopt;
  torch::NoGradGuard no_grad;
  const StoredTensors tensors = open_safetensors(path);
  const torch::Tensor counts = entry(tensors, path, "counts", kCounts).view();
  const auto count = [&](std::int64_t i) { return counts[i].item<std::int64_t>(); };
  if (count(0) != key_number(key)) {
    spdlog::info("{} belongs to other inputs or settings: the level starts again", path.string());
    return std::nullopt;
  }
  const std::vector<double> figures = read_reals(entry(tensors, path, "figures", kFigures).view());
  torch::Tensor values = stepper.flat().values;
  const std::int64_t weights = values.numel();
  LevelState s;
  s.step = count(1);
  s.bad_steps = count(2);
  s.stale = count(3);
  s.best_step = count(4);
  s.line_steps = count(5);
  s.line_tokens = count(6);
  s.metrics_bytes = static_cast<std::uint64_t>(count(7));
  s.best_loss = figures[0];
  s.line_loss = figures[1];
  s.line_seconds = figures[2];
  s.seconds = figures[3];
  s.student_seconds = read_reals(entry(tensors, path, "student_seconds", s.step).view());
  s.teacher_seconds = read_reals(entry(tensors, path, "teacher_seconds", s.step).view());
  values.copy_(entry(tensors, path, "values", weights).view());
  stepper.optimizer().mean().copy_(entry(tensors, path, "mean", weights).view());
  stepper.optimizer().square().copy_(entry(tensors, path, "square", weights).view());
  stepper.optimizer().set_steps(count(8));
  if (count(9) != 0) s.best = entry(tensors, path, "best", weights).view().to(values.options()).clone();
  return s;
}

}  // namespace elastify
