#include "profile/resume.h"

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "checkpoint/safetensors.h"

namespace elastify {
namespace {

constexpr const char* kKeyName = "resume.key";
constexpr const char* kStepsName = "resume.steps";

torch::Tensor scalar(std::int64_t value) { return torch::full({1}, value, torch::kInt64); }

// The saved tensor if it fits `like`; undefined otherwise.
torch::Tensor saved_like(const StoredTensors& stored, const std::string& name, const torch::Tensor& like) {
  const auto found = stored.find(name);
  if (found == stored.end()) return {};
  const torch::Tensor view = found->second.view();
  return view.scalar_type() == like.scalar_type() && view.sizes() == like.sizes() ? view : torch::Tensor();
}

}  // namespace

ResumeFile::ResumeFile(const ResumePoint& point, const std::string& arguments) : point_(point) {
  const std::string text = point.key + "\n" + arguments;
  key_ = static_cast<std::int64_t>(checksum64(text.data(), text.size()));
}

std::int64_t ResumeFile::load_inplace(Accumulators& accumulators) const {
  if (point_.path.empty() || !fs::exists(point_.path)) return 0;
  try {
    const StoredTensors stored = open_safetensors(point_.path);
    const torch::Tensor key = saved_like(stored, kKeyName, scalar(0));
    const torch::Tensor steps = saved_like(stored, kStepsName, scalar(0));
    if (!key.defined() || !steps.defined() || key.item<std::int64_t>() != key_ || steps.item<std::int64_t>() < 0)
      return 0;
    for (const auto& [name, tensor] : accumulators) {
      if (!saved_like(stored, name, tensor).defined()) return 0;
    }
    for (auto& [name, tensor] : accumulators) tensor.copy_(saved_like(stored, name, tensor));
    return steps.item<std::int64_t>();
  } catch (const Error& error) {
    spdlog::warn("starting from the beginning, saved progress cannot be used: {}", error.what());
    return 0;
  }
}

void ResumeFile::save(std::int64_t steps, const Accumulators& accumulators, bool now) {
  if (point_.path.empty()) return;
  if (!now && saved_.seconds() < point_.every_s) return;
  Accumulators all = accumulators;
  all[kKeyName] = scalar(key_);
  all[kStepsName] = scalar(steps);
  write_safetensors(point_.path, all);
  saved_.restart();
  if (point_.after_save) point_.after_save(steps);
}

std::string tensor_hash(const torch::Tensor& tensor) {
  const torch::Tensor values = tensor.to(torch::kCPU).contiguous();
  const std::string_view bytes(static_cast<const char*>(values.data_ptr()), values.nbytes());
  return fmt::format("{}[{}]:{}", torch::toString(values.scalar_type()), fmt::join(values.sizes(), ","),
                     hash_text(bytes));
}

}  // namespace elastify
