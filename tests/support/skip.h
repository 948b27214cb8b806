// Cases that need the optional sample checkpoints say that they skip, and why.
#pragma once

#include <filesystem>
#include <string>

namespace elastify_test {

// Prints the current case's name and `reason`; the case then returns.
void skip_case(const std::string& reason);

inline std::filesystem::path shared_dir() { return ELASTIFY_SHARED_DIR; }

// True if `relative` is in the shared folder; else the case has been reported as skipped.
inline bool have_shared(const std::string& relative) {
  if (std::filesystem::exists(shared_dir() / relative)) return true;
  skip_case("needs " + relative + " under ELASTIFY_SHARED");
  return false;
}

}  // namespace elastify_test
