#include "pack/gguf_header.h"

#include <elrt/format.h>

#include <type_traits>
#include <variant>

namespace elastify {
namespace {

namespace gguf = elrt::gguf;

// The header's bytes, little endian (as every machine this runs on).
class Bytes {
 public:
  template <typename T>
  void number(T value) {
    static_assert(std::is_arithmetic_v<T>);
    append(&value, sizeof(value));
  }
  void number(bool value) { number<std::uint8_t>(value ? 1 : 0); }
  void text(const std::string& value) {
    number<std::uint64_t>(value.size());
    append(value.data(), value.size());
  }
  void pad(std::size_t alignment) { bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment, '\0'); }
  std::size_t size() const { return bytes_.size(); }
  const std::string& all() const { return bytes_; }

 private:
  void append(const void* data, std::size_t bytes) { bytes_.append(static_cast<const char*>(data), bytes); }
  std::string bytes_;
};

template <typename T>
constexpr gguf::ValueType type_of() {
  using V = gguf::ValueType;
  if constexpr (std::is_same_v<T, std::uint8_t>)
    return V::kUint8;
  else if constexpr (std::is_same_v<T, std::int8_t>)
    return V::kInt8;
  else if constexpr (std::is_same_v<T, std::uint16_t>)
    return V::kUint16;
  else if constexpr (std::is_same_v<T, std::int16_t>)
    return V::kInt16;
  else if constexpr (std::is_same_v<T, std::uint32_t>)
    return V::kUint32;
  else if constexpr (std::is_same_v<T, std::int32_t>)
    return V::kInt32;
  else if constexpr (std::is_same_v<T, float>)
    return V::kFloat32;
  else if constexpr (std::is_same_v<T, bool>)
    return V::kBool;
  else if constexpr (std::is_same_v<T, std::string>)
    return V::kString;
  else if constexpr (std::is_same_v<T, std::uint64_t>)
    return V::kUint64;
  else if constexpr (std::is_same_v<T, std::int64_t>)
    return V::kInt64;
  else
    return V::kFloat64;
}

template <typename T>
void write_scalar(Bytes& out, const T& value) {
  if constexpr (std::is_same_v<T, std::string>)
    out.text(value);
  else
    out.number(value);
}

struct ValueWriter {
  Bytes& out;
  template <typename T>
  void operator()(const T& value) const {
    out.number(static_cast<std::uint32_t>(type_of<T>()));
    write_scalar(out, value);
  }
  template <typename T>
  void operator()(const std::vector<T>& values) const {
    out.number(static_cast<std::uint32_t>(gguf::ValueType::kArray));
    out.number(static_cast<std::uint32_t>(type_of<T>()));
    out.number<std::uint64_t>(values.size());
    for (auto&& value : values) write_scalar<T>(out, value);  // vector<bool> hands out proxies
  }
};

}  // namespace

std::uint64_t gguf_aligned(std::uint64_t offset, std::uint64_t alignment) {
  return (offset + alignment - 1) / alignment * alignment;
}

std::string gguf_header(const gguf::Metadata& metadata, const std::vector<GgufInfo>& tensors, std::uint64_t alignment) {
  Bytes header;
  header.number(elrt::format::kGgufMagic);
  header.number(elrt::format::kGgufVersion);
  header.number<std::uint64_t>(tensors.size());
  header.number<std::uint64_t>(metadata.size());
  for (const auto& [key, value] : metadata) {
    header.text(key);
    std::visit(ValueWriter{header}, value);
  }
  std::uint64_t offset = 0;
  for (const auto& tensor : tensors) {
    header.text(tensor.name);
    header.number(static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto extent = tensor.shape.rbegin(); extent != tensor.shape.rend(); ++extent)
      header.number(static_cast<std::uint64_t>(*extent));
    header.number(tensor.type);
    header.number(offset);
    offset = gguf_aligned(offset + tensor.bytes, alignment);
  }
  header.pad(alignment);
  return header.all();
}

}  // namespace elastify
