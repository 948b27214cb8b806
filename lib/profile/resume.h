// Progress of a long pass as one small file, so that a killed run continues where it stopped with bit-identical
// results.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/files.h"
#include "base/stopwatch.h"
#include "base/torch.h"

namespace elastify {

// Where a pass keeps its progress. The default keeps none.
struct ResumePoint {
  fs::path path;    // a TrainingState: the accumulators and the number of steps that are in them
  std::string key;  // what the result depends on next to the pass's own arguments: model hash, tool version
  double every_s = 30;
  std::function<void(std::int64_t steps)> after_save;  // may throw, which ends the pass there
};

using Accumulators = std::map<std::string, torch::Tensor>;

class ResumeFile {
 public:
  // `arguments` describes the pass (method, rows, sizes): a file that another pass or key wrote is not continued.
  ResumeFile(const ResumePoint& point, const std::string& arguments);

  // Copies a saved state into `accumulators` and returns how many steps it holds. 0, with nothing changed, if there is
  // no file, or it belongs to another pass, or is damaged (said in the log).
  std::int64_t load_inplace(Accumulators& accumulators) const;
  // Writes if `every_s` seconds have passed since the last write, or always with `now`. Atomic. After Ctrl-C it writes
  // and throws Interrupted.
  void save(std::int64_t steps, const Accumulators& accumulators, bool now = false);

 private:
  const ResumePoint& point_;
  std::string key_;
  Stopwatch saved_;
};

// Dtype, shape and a hash of the values, for `arguments`.
std::string tensor_hash(const torch::Tensor& tensor);

}  // namespace elastify
