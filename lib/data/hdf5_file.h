// HDF5 files as bytes in memory: built whole and written atomically, read whole and checked. The library's C interface
// held by owners that close; object times are off, so equal contents give equal bytes.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/torch.h"

namespace elastify {

// An open HDF5 object and the function that closes it (H5Fclose, H5Dclose, ...).
class Hdf5Handle {
 public:
  using Id = std::int64_t;  // hid_t, checked in the .cpp
  using Close = int (*)(Id);
  Hdf5Handle(Id id, Close close) : id_(id), close_(close) {}
  ~Hdf5Handle() { reset(); }
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Hdf5Handle& operator=(Hdf5Handle&&) = delete;
  Id get() const { return id_; }
  bool valid() const { return id_ >= 0; }
  void reset();

 private:
  Id id_;
  Close close_;
};

// Text that goes with a dataset, as attributes: {"units", "nats per token"}.
using Hdf5Attributes = std::vector<std::pair<std::string, std::string>>;

class Hdf5Writer {
 public:
  Hdf5Writer();

  // Contiguous float64 or int64 values on the CPU; groups on the way are made. Throws Error(kInternal) on failure.
  void dataset(const std::string& name, const torch::Tensor& values, const Hdf5Attributes& attributes);
  // Attributes of the file itself.
  void attribute(const std::string& name, const std::string& text);
  void attribute(const std::string& name, std::int64_t value);
  void attribute(const std::string& name, double value);
  // The whole file into `path`, atomically.
  void save(const fs::path& path);

 private:
  Hdf5Handle file_;
};

class Hdf5Reader {
 public:
  // Throws Error(kBadData) if `path` is missing or is no HDF5 file, a truncated one included.
  explicit Hdf5Reader(const fs::path& path);

  bool has(const std::string& name) const;
  // Values of exactly this shape (-1: any extent up to 2^31 values in all), float64 or int64. Throws Error(kBadData)
  // that names the file and dataset on another shape or kind of number, a missing dataset, NaN and infinity.
  torch::Tensor floats(const std::string& name, const std::vector<std::int64_t>& shape) const;
  torch::Tensor integers(const std::string& name, const std::vector<std::int64_t>& shape) const;
  // Attributes of the file itself. Throw Error(kBadData) where one is missing or of another kind.
  std::string text(const std::string& name) const;
  std::int64_t integer(const std::string& name) const;
  double number(const std::string& name) const;

 private:
  torch::Tensor read(const std::string& name, const std::vector<std::int64_t>& shape, torch::ScalarType dtype) const;
  Hdf5Handle attribute(const std::string& name) const;

  std::string path_;
  std::string bytes_;
  Hdf5Handle file_;
};

}  // namespace elastify
