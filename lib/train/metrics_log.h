// metrics.jsonl: one JSON object a line, appended while training. Written in place, but never through a link: a file
// that has another name too becomes one of its own first.
#pragma once

#include <cstdint>

#include "base/files.h"

namespace elastify {

class MetricsLog {
 public:
  // Continues a file at `bytes`, where the last checkpoint was taken: what was written after it is cut off.
  // Throws Error(kBadData) if the file is shorter than that, Error(kInternal) if it cannot be written.
  MetricsLog(fs::path path, std::uint64_t bytes);
  ~MetricsLog();
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;

  void append(const nlohmann::json& line);
  // Flushes to the disk and returns the length so far.
  std::uint64_t sync();

 private:
  fs::path path_;
  int descriptor_ = -1;
  std::uint64_t bytes_ = 0;
};

// Every line of such a file. Throws Error(kBadData) naming the first line that is not JSON.
std::vector<nlohmann::json> read_metrics(const fs::path& path);

}  // namespace elastify
