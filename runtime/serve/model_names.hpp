// An artifact under the names that clients ask for: NAME, and NAME:LEVEL for each of its levels, so that a client that
// knows nothing of levels chooses one by its model's name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "elrt/artifact.hpp"

namespace elrt::serve {

class ModelNames {
 public:
  // `level`: what NAME alone stands for.
  ModelNames(const Artifact& artifact, std::string name, std::uint32_t level);

  std::string of_level(std::uint32_t level) const { return name_ + ":" + std::to_string(level); }
  std::uint32_t level_of(std::string_view model) const;  // throws ApiError(404) for another model or level
  const std::string& name() const { return name_; }
  std::uint32_t default_level() const { return level_; }
  const std::vector<std::uint32_t>& levels() const { return levels_; }

 private:
  std::string name_;
  std::uint32_t level_;
  std::vector<std::uint32_t> levels_;
};

}  // namespace elrt::serve
