// safetensors files: an 8-byte little-endian header length, a JSON header, then raw row-major tensors.
#pragma once

#include <elrt/gguf_file.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/torch.h"

namespace elastify {

// Where one tensor lies in a mapped file, and how.
struct StoredTensor {
  std::shared_ptr<const MappedFile> file;
  std::size_t offset = 0;  // from the start of the file, bytes
  std::size_t bytes = 0;
  torch::ScalarType dtype = torch::kFloat32;  // of what view() gives
  std::vector<std::int64_t> shape;
  const elrt::gguf::TypeLayout* blocks = nullptr;  // quantised, as blocks of this GGUF type
  // In the file, where that is less: what follows is then zero. Without a file all is zero.
  std::vector<std::int64_t> stored_shape{};
  // The file holds the values less one, in this dtype; `dtype` is then float32.
  std::optional<torch::ScalarType> less_one{};

  // "F32", "Q4_K", ...
  std::string type_name() const;
  // A CPU tensor over the mapped bytes: no copy; it keeps the mapping alive. Must not be written to. Quantised tensors
  // and those that lack units are computed, again each time, into memory of their own.
  torch::Tensor view() const;
};

using StoredTensors = std::map<std::string, StoredTensor>;

// The header of one file. Throws Error(kBadData) on truncation, on overlapping, misaligned or out-of-range offsets, on
// sizes that do not fit their shapes, on bytes that no tensor claims and on dtypes other than F64, F32, F16, BF16, I32,
// I64.
StoredTensors open_safetensors(const fs::path& path);

// "F32" and so on; throws Error(kInternal) for a dtype that the writer does not know.
std::string safetensors_dtype(torch::ScalarType dtype);

// Writes tensors one after the other; the shapes are fixed first so that contents can stream.
class SafetensorsWriter {
 public:
  struct Entry {
    std::string name;
    torch::ScalarType dtype;
    std::vector<std::int64_t> shape;
  };
  SafetensorsWriter(const fs::path& path, const std::vector<Entry>& entries,
                    const std::map<std::string, std::string>& metadata = {});
  // In the order of the entries; any strides, any device. Throws Error(kInternal) on a shape or dtype that was not
  // announced.
  void write(const torch::Tensor& tensor);
  void commit();

 private:
  AtomicFile file_;
  std::vector<Entry> entries_;
  std::size_t next_ = 0;
};

// A whole file at once, for small sets such as adapters. Wide elements first, so that all are aligned, then by name:
// equal tensors give equal bytes.
void write_safetensors(const fs::path& path, const std::map<std::string, torch::Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace elastify
