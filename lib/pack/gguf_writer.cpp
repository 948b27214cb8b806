#include "pack/gguf_writer.h"

#include <elrt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"

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

std::uint64_t aligned(std::uint64_t offset) {
  return (offset + elrt::format::kAlignment - 1) / elrt::format::kAlignment * elrt::format::kAlignment;
}

Bytes make_header(const gguf::Metadata& metadata, const std::vector<GgufTensor>& tensors) {
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
    header.number(static_cast<std::uint32_t>(tensor.type));
    header.number(offset);
    offset = aligned(offset + static_cast<std::uint64_t>(stored_bytes(tensor)));
  }
  header.pad(elrt::format::kAlignment);
  return header;
}

bool quantised(const GgufTensor& tensor) { return elrt::is_quantised(tensor.type); }

bool as_announced(const GgufTensor& tensor, const torch::Tensor& made) {
  const bool bytes_fit = static_cast<std::int64_t>(made.nbytes()) == stored_bytes(tensor);
  if (quantised(tensor)) return made.is_cpu() && made.scalar_type() == torch::kUInt8 && bytes_fit;
  const auto dtype = tensor.type == elrt::TensorType::kF16 ? torch::kFloat16 : torch::kFloat32;
  return made.is_cpu() && made.scalar_type() == dtype && made.sizes().vec() == tensor.shape && bytes_fit;
}

}  // namespace

std::int64_t stored_bytes(const GgufTensor& tensor) {
  std::int64_t weights = 1;
  for (const std::int64_t extent : tensor.shape) weights *= extent;
  switch (tensor.type) {
    case elrt::TensorType::kF32:
      return weights * 4;
    case elrt::TensorType::kF16:
      return weights * 2;
    case elrt::TensorType::kQ8_0:
      return weights / 32 * 34;
    case elrt::TensorType::kQ4_0:
    case elrt::TensorType::kIq4Nl:
      return weights / 32 * 18;
  }
  throw Error(ErrorCode::kInternal, "unknown tensor type");
}

std::vector<float> write_gguf(const fs::path& path, gguf::Metadata metadata, const std::vector<GgufTensor>& tensors,
                              const std::function<void(std::int64_t)>& progress) {
  metadata[elrt::format::key::kAlignmentBytes] = static_cast<std::uint32_t>(elrt::format::kAlignment);
  std::vector<std::uint64_t> checksums(tensors.size(), 0);
  metadata[elrt::format::key::kChecksumValues] = checksums;  // holds the place: filled in once the tensors are known
  std::vector<float> errors(tensors.size(), NAN);
  const bool any_quantised = std::any_of(tensors.begin(), tensors.end(), quantised);
  if (any_quantised) metadata[elrt::format::key::kQuantisationError] = errors;  // likewise

  AtomicFile file(path);
  const std::size_t header_bytes = make_header(metadata, tensors).size();
  std::uint64_t offset = header_bytes;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    MadeTensor result = tensors[i].make();
    const torch::Tensor made = result.values.contiguous();
    result.values.reset();
    require(as_announced(tensors[i], made), "artifact writer: tensor {} differs from what was announced",
            tensors[i].name);
    errors[i] = result.quantisation_error;
    checksums[i] = checksum64(made.data_ptr(), made.nbytes());
    file.write_at(offset, made.data_ptr(), made.nbytes());
    const std::uint64_t end = offset + made.nbytes();
    offset = aligned(end);
    const std::string padding(offset - end, '\0');
    file.write_at(end, padding.data(), padding.size());
    if (progress) progress(static_cast<std::int64_t>(offset - header_bytes));
  }
  metadata[elrt::format::key::kChecksumValues] = checksums;
  if (any_quantised) metadata[elrt::format::key::kQuantisationError] = errors;
  const Bytes header = make_header(metadata, tensors);
  file.write_at(0, header.all().data(), header.size());
  file.commit();
  return errors;
}

}  // namespace elastify
