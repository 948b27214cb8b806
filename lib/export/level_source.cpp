#include "export/level_source.h"

#include "base/error.h"

namespace elastify {

std::unique_ptr<LevelSource> open_level(const fs::path& path, std::int64_t level) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) return open_artifact_level(path, level);
  if (fs::is_regular_file(path / "plan.json", error)) return open_run_level(path, level);
  if (fs::is_regular_file(path / "model.gguf", error)) return open_artifact_level(path / "model.gguf", level);
  fail_usage(
      "cannot export from {}: expected an artifact (model.gguf) or a run directory with plan.json and reordered/; run "
      "elastify build first",
      path.string());
}

}  // namespace elastify
