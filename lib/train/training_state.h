// What training, or another long pass, needs to go on after a stop: numbers and tensors by name, in one safetensors
// file that is whole or absent. One format for all: next to the named values, "state.version" and "state.key", a number
// made of everything that the values depend on.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/torch.h"
#include "train/flat_adamw.h"

namespace elastify {

class TrainingState {
 public:
  void put(const std::string& name, const torch::Tensor& tensor);  // any device; not copied before save()
  void put_count(const std::string& name, std::int64_t value);
  void put_figure(const std::string& name, double value);
  void put_figures(const std::string& name, const std::vector<double>& values);
  void put_optimizer(const std::string& name, const FlatAdamW& optimizer);  // its moments and its count of steps

  // Each throws Error(kBadData), naming the file, where a value is missing or of another type or shape.
  std::int64_t count(const std::string& name) const;
  double figure(const std::string& name) const;
  std::vector<double> figures(const std::string& name) const;
  torch::Tensor tensor(const std::string& name, const torch::Tensor& like) const;  // a view with like's type and shape
  void copy_to(const std::string& name, torch::Tensor target) const;               // in place
  void restore_optimizer(const std::string& name, FlatAdamW& optimizer) const;

  void save(const fs::path& path, const std::string& key) const;
  // Nothing where there is no file, or where another version of the tool or other inputs or settings (`key`) wrote it,
  // which the log says. Throws Error(kBadData) on a damaged file.
  static std::optional<TrainingState> load(const fs::path& path, const std::string& key);

 private:
  fs::path path_;  // that it was loaded from
  std::map<std::string, torch::Tensor> tensors_;
};

}  // namespace elastify
