// The folder in which stages meet: who may write it, what is up to date, where a stage keeps unfinished work.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/files.h"

namespace elastify {

// The tool's version, part of every stage's key.
std::string tool_version();

class RunDirectory {
 public:
  // Creates `path` where needed and locks it. Throws Error(kUsage) if another process holds it.
  explicit RunDirectory(const fs::path& path);
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  const fs::path& path() const { return path_; }
  fs::path file(const std::string& name) const { return path_ / name; }

  // Content hash of a file, or of a folder that a stage wrote, remembered by path, size and times of change so that
  // large files are read once. Throws Error(kBadData) where it cannot be read.
  std::string content_hash(const fs::path& path);
  // The same of a file that the settings name. Throws Error(kUsage) for a folder, or whatever else has no end.
  std::string input_hash(const fs::path& path);

  // True if `stage` last finished under `key` and its outputs (relative paths) are still what it wrote.
  bool up_to_date(const std::string& stage, const std::string& key);
  // Before `stage` writes: throws Error(kUsage) naming an output in its place that the tool did not make.
  void claim(const std::string& stage, const std::vector<std::string>& outputs);
  // `settings`: those that the stage's result depends on, for people who look into .stages/.
  void record(const std::string& stage, const std::string& key, const std::vector<std::string>& outputs, double seconds,
              const nlohmann::json& settings);
  // The hash of what `stage` wrote, for the keys of stages that read it. Throws Error(kUsage) if it has not run,
  // telling which command to run first, and Error(kBadData) where a file is no longer what the stage wrote.
  std::string output_hash(const std::string& stage);
  // Seconds that `stage` took when it last ran here; 0 where that is not known.
  double last_seconds(const std::string& stage) const;

  // A folder for progress under `key`; folders of other keys of that stage are removed.
  fs::path work_dir(const std::string& stage, const std::string& key);
  void clear_work(const std::string& stage);

 private:
  fs::path record_path(const std::string& stage) const;
  void save_hashes() const;

  fs::path path_;
  int lock_ = -1;
  std::map<std::string, std::string> hashes_;  // "path size mtime_ns ctime_ns" -> hash
};

}  // namespace elastify
