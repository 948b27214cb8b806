#include "support/gguf_builder.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>

namespace elastify_test {
namespace {

using Bytes = std::vector<unsigned char>;

template <typename T>
void put(Bytes& out, const T& value) {
  const auto* p = reinterpret_cast<const unsigned char*>(&value);
  out.insert(out.end(), p, p + sizeof(T));
}

void put_string(Bytes& out, const std::string& text) {
  put<std::uint64_t>(out, text.size());
  out.insert(out.end(), text.begin(), text.end());
}

template <typename T>
constexpr std::uint32_t kTypeId = 99;
template <>
constexpr std::uint32_t kTypeId<std::uint8_t> = 0;
template <>
constexpr std::uint32_t kTypeId<std::int8_t> = 1;
template <>
constexpr std::uint32_t kTypeId<std::uint16_t> = 2;
template <>
constexpr std::uint32_t kTypeId<std::int16_t> = 3;
template <>
constexpr std::uint32_t kTypeId<std::uint32_t> = 4;
template <>
constexpr std::uint32_t kTypeId<std::int32_t> = 5;
template <>
constexpr std::uint32_t kTypeId<float> = 6;
template <>
constexpr std::uint32_t kTypeId<bool> = 7;
template <>
constexpr std::uint32_t kTypeId<std::string> = 8;
template <>
constexpr std::uint32_t kTypeId<std::uint64_t> = 10;
template <>
constexpr std::uint32_t kTypeId<std::int64_t> = 11;
template <>
constexpr std::uint32_t kTypeId<double> = 12;

template <typename T>
void put_element(Bytes& out, const T& value) {
  if constexpr (std::is_same_v<T, std::string>)
    put_string(out, value);
  else
    put<T>(out, value);
}

struct ValueWriter {
  Bytes& out;
  template <typename T>
  void operator()(const T& value) const {
    put(out, kTypeId<T>);
    put_element(out, value);
  }
  template <typename T>
  void operator()(const std::vector<T>& values) const {
    put<std::uint32_t>(out, 9);
    put(out, kTypeId<T>);
    put<std::uint64_t>(out, values.size());
    for (std::size_t i = 0; i < values.size(); ++i) put_element<T>(out, values[i]);
  }
};

std::uint64_t aligned(std::uint64_t n, std::uint64_t alignment) { return (n + alignment - 1) / alignment * alignment; }

Bytes header(const GgufBuilder& file) {
  Bytes out;
  put(out, file.magic);
  put(out, file.version);
  put<std::uint64_t>(out, file.tensor_count.value_or(file.tensors.size()));
  put<std::uint64_t>(out, file.key_value_count.value_or(file.metadata.size()));
  for (const auto& [key, value] : file.metadata) {
    put_string(out, key);
    std::visit(ValueWriter{out}, value);
  }
  std::uint64_t offset = 0;
  for (const GgufTensor& tensor : file.tensors) {
    put_string(out, tensor.name);
    put<std::uint32_t>(out, static_cast<std::uint32_t>(tensor.dims.size()));
    for (const std::uint64_t dim : tensor.dims) put(out, dim);
    put(out, tensor.type);
    put<std::uint64_t>(out, tensor.offset.value_or(offset));
    offset = aligned(offset + tensor.bytes.size(), file.alignment);
  }
  return out;
}

}  // namespace

std::vector<unsigned char> GgufBuilder::build() const {
  Bytes out = header(*this);
  for (const GgufTensor& t : tensors) {
    out.resize(aligned(out.size(), alignment));
    out.insert(out.end(), t.bytes.begin(), t.bytes.end());
  }
  return out;
}

std::size_t GgufBuilder::header_bytes() const { return header(*this).size(); }

GgufTensor& GgufBuilder::tensor(const std::string& name) {
  for (GgufTensor& t : tensors) {
    if (t.name == name) return t;
  }
  std::cerr << "the test's model has no tensor " << name << "\n";
  std::abort();
}

std::uint16_t half_from_float(float value) {
  if (value == 0) return std::signbit(value) ? 0x8000 : 0;
  int exponent = 0;
  const double fraction = std::frexp(std::fabs(value), &exponent);  // in [0.5, 1)
  const int shift = exponent < -13 ? -24 : exponent - 11;           // unit of the last place
  const double units = std::nearbyint(std::ldexp(fraction, exponent - shift));
  const auto magnitude =
      static_cast<std::uint32_t>(units) + (shift == -24 ? 0u : static_cast<std::uint32_t>(shift + 24) << 10);
  return static_cast<std::uint16_t>((std::signbit(value) ? 0x8000u : 0u) | (magnitude > 0x7C00u ? 0x7C00u : magnitude));
}

float float_from_half_bits(std::uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const double fraction = half & 1023;
  const double value = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return static_cast<float>((half & 0x8000) != 0 ? -value : value);
}

float rounded_to_bf16(double value) {
  if (value == 0) return static_cast<float>(value);
  int exponent = 0;
  const double fraction = std::frexp(value, &exponent);
  const int place = std::max(exponent - 8, -133);  // of the last bit; denormal numbers have their own
  return static_cast<float>(std::ldexp(std::nearbyint(std::ldexp(fraction, exponent - place)), place));
}

std::vector<unsigned char> f32_bytes(const std::vector<float>& values) {
  Bytes out;
  for (const float value : values) put(out, value);
  return out;
}

std::vector<unsigned char> f16_bytes(const std::vector<float>& values) {
  Bytes out;
  for (const float value : values) put(out, half_from_float(value));
  return out;
}

std::vector<unsigned char> bf16_bytes(const std::vector<float>& values) {
  Bytes out;
  for (const float value : values) put(out, static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16));
  return out;
}

std::vector<float> in_columns(const std::vector<float>& values, std::uint64_t inputs, std::uint64_t outputs) {
  std::vector<float> placed((outputs + 31) / 32 * inputs * 32);
  for (std::uint64_t i = 0; i < inputs * outputs; ++i)
    placed[(i / inputs / 32 * inputs + i % inputs) * 32 + i / inputs % 32] = values[i];
  return placed;
}

TemporaryFile::TemporaryFile(const std::vector<unsigned char>& bytes) {
  static std::atomic<int> count{0};
  path_ = std::filesystem::temp_directory_path() /
          ("elastify-test-" + std::to_string(::getpid()) + "-" + std::to_string(count++) + ".gguf");
  std::ofstream out(path_, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

TemporaryFile::~TemporaryFile() {
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

}  // namespace elastify_test
