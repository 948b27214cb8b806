// What a run directory takes over from another one instead of making it again.
#pragma once

#include <string>
#include <vector>

#include "pipeline/pipeline_config.h"
#include "pipeline/run_directory.h"

namespace elastify {

// Of the stages of a whole build of `config`, in their order, those that are up to date in `into` or were last run in
// `from` under the key that they have here; up to the first that is neither. The latter's outputs, summary and record
// appear in `into`, whole or not at all, as hard links, or as copies where the file system refuses links. A stage of
// `into` that runs later replaces them and leaves `from` as it is: every file of a run directory is written next to its
// place and renamed into it. Returns the stages' names: all that need not run.
// Nothing is taken that is not what `from`'s record says (damaged, or a build is at it). Links change their files'
// times of change, so that `from` reads its files once more when it looks for what is up to date. Throws Error(kUsage)
// for settings that a build refuses, and then leaves no folder; for an output's name in `into` that the tool did not
// make; where another process holds `into`.
std::vector<std::string> share_stages(const PipelineConfig& config, const fs::path& from, const fs::path& into);

// Whether `stage` last ran in both under one key: what it read and made is then the same.
bool ran_alike(const fs::path& run_dir, const fs::path& other, const std::string& stage);

}  // namespace elastify
