// Folders that a command fills for its user. Nothing is ever removed or replaced that the tool did not make: a file in
// the folder, .elastify, lists what it made there.
#pragma once

#include <string>
#include <vector>

#include "base/files.h"

namespace elastify {

inline constexpr char kOutputMark[] = ".elastify";

// The folder that a user means: absolute, links followed, no `.`, `..` or slash at its end. Throws Error(kUsage) where
// the name is empty or stands for something that is no folder.
fs::path output_path(const fs::path& named);

// Throws Error(kUsage) naming the first entry of `folder` that the tool did not make. A folder that does not exist, or
// is empty, is free. `names`: only these matter, others stay where they are; none: every entry matters.
void require_free(const fs::path& folder, const std::vector<std::string>& names = {});
// Writes the mark: `names`, and those that it listed before and that are still there.
void mark_outputs(const fs::path& folder, const std::vector<std::string>& names);
// Both, before the work: what a run that is killed leaves is then known as the tool's.
void claim_outputs(const fs::path& folder, const std::vector<std::string>& names);

// A folder of the tool's own that appears whole: fill path(), then commit(). What an earlier run made there is
// replaced; anything else in it is refused at the start, as require_free does. Without commit() nothing is left over.
class OutputFolder {
 public:
  explicit OutputFolder(const fs::path& named);
  ~OutputFolder();
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

  const fs::path& path() const { return work_; }
  void commit();

 private:
  fs::path target_, work_;
  bool committed_ = false;
};

// Marks `work` and puts it in the place of `target`, on the same file system, in one step. Where the process stands in
// `target`, the entries move instead, one by one. Throws Error(kUsage) as require_free does, kInternal for the
// system's.
void put_in_place(const fs::path& work, const fs::path& target);

}  // namespace elastify
