#include "profile/resume.h"

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "train/training_state.h"

namespace elastify {
namespace {

constexpr const char* kStepsName = "resume.steps";

}  // namespace

ResumeFile::ResumeFile(const ResumePoint& point, const std::string& arguments)
    : point_(point), key_(point.key + "\n" + arguments) {}

std::int64_t ResumeFile::load_inplace(Accumulators& accumulators) const {
  if (point_.path.empty()) return 0;
  try {
    const auto state = TrainingState::load(point_.path, key_);
    if (!state) return 0;
    const std::int64_t steps = state->count(kStepsName);
    for (const auto& [name, tensor] : accumulators) state->tensor(name, tensor);  // all fit, or none is changed
    for (const auto& [name, tensor] : accumulators) state->copy_to(name, tensor);
    return std::max<std::int64_t>(0, steps);
  } catch (const Error& error) {
    spdlog::warn("starting from the beginning, saved progress cannot be used: {}", error.what());
    return 0;
  }
}

void ResumeFile::save(std::int64_t steps, const Accumulators& accumulators, bool now) {
  if (point_.path.empty()) return;
  if (!now && interrupted() == 0 && saved_.seconds() < point_.every_s) return;
  TrainingState state;
  for (const auto& [name, tensor] : accumulators) state.put(name, tensor);
  state.put_count(kStepsName, steps);
  state.save(point_.path, key_);
  saved_.restart();
  if (point_.after_save) point_.after_save(steps);
  stop_if_interrupted();
}

std::string tensor_hash(const torch::Tensor& tensor) {
  const torch::Tensor values = tensor.to(torch::kCPU).contiguous();
  const std::string_view bytes(static_cast<const char*>(values.data_ptr()), values.nbytes());
  return fmt::format("{}[{}]:{}", torch::toString(values.scalar_type()), fmt::join(values.sizes(), ","),
                     hash_text(bytes));
}

}  // namespace elastify
