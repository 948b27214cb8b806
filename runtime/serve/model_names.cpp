#include "model_names.hpp"

#include <utility>

#include "api_error.hpp"

namespace elrt::serve {

ModelNames::ModelNames(const Artifact& artifact, std::string name, std::uint32_t level)
    : name_(std::move(name)), level_(level) {
  for (const LevelInfo& info : artifact.levels()) levels_.push_back(info.level);
}

std::uint32_t ModelNames::level_of(std::string_view model) const {
  if (model == name_) return level_;
  for (const std::uint32_t level : levels_) {
    if (model == of_level(level)) return level;
  }
  std::string known = name_;
  for (const std::uint32_t level : levels_) known += ", " + of_level(level);
  throw ApiError(404, "there is no model " + std::string(model.substr(0, 200)) + "; there are " + known, "model",
                 "model_not_found");
}

}  // namespace elrt::serve
