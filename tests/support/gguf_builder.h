// Writes GGUF v3 bytes for tests, also broken ones: written from the specification, sharing nothing with the reader or
// with the toolchain's writer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "elrt/gguf.hpp"

namespace elastify_test {

struct GgufTensor {
  std::string name;
  std::uint32_t type = 0;           // 0 F32, 1 F16, 30 BF16
  std::vector<std::uint64_t> dims;  // contiguous first
  std::vector<unsigned char> bytes;
  std::optional<std::uint64_t> offset{};  // overrides the honest one
};

struct GgufBuilder {
  std::uint32_t magic = 0x46554747, version = 3;
  std::uint64_t alignment = 64;  // of the tensors' data; the key says what the test wants it to say
  std::optional<std::uint64_t> tensor_count{}, key_value_count{};  // override the honest ones
  elrt::gguf::Metadata metadata;
  std::vector<GgufTensor> tensors;

  std::vector<unsigned char> build() const;
  std::size_t header_bytes() const;             // of build(), before the padding
  GgufTensor& tensor(const std::string& name);  // aborts if missing
};

inline constexpr std::uint32_t kBF16 = 30;  // GGUF's type id

std::uint16_t half_from_float(float value);  // round to nearest even
float float_from_half_bits(std::uint16_t half);
float rounded_to_bf16(double value);  // eight significant bits, to nearest even; of finite values that stay finite
std::vector<unsigned char> f32_bytes(const std::vector<float>& values);
std::vector<unsigned char> f16_bytes(const std::vector<float>& values);
std::vector<unsigned char> bf16_bytes(const std::vector<float>& values);  // of rounded values
// [outputs][inputs] in columns (elrt/format.h, LAYOUT): [ceil(outputs / 32)][inputs][32], zero after the last output.
std::vector<float> in_columns(const std::vector<float>& values, std::uint64_t inputs, std::uint64_t outputs);

// A file in the system's temporary folder, removed with the object.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::vector<unsigned char>& bytes);
  TemporaryFile(const TemporaryFile&) = delete;
  ~TemporaryFile();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace elastify_test
