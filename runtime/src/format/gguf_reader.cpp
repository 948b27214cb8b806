#include "format/gguf_reader.hpp"

#include <algorithm>
#include <numeric>
#include <set>
#include <string>

#include "elrt/format.h"
#include "format/byte_cursor.hpp"

namespace elrt {
namespace {

using gguf::Value;
using gguf::ValueType;

template <typename T>
Value read_scalar(ByteCursor& cursor) {
  return cursor.read<T>("a value");
}

bool read_bool(ByteCursor& cursor) {
  const auto byte = cursor.read<std::uint8_t>("a bool");
  if (byte > 1) cursor.fail("a bool holds " + std::to_string(byte) + ", expected 0 or 1");
  return byte == 1;
}

// An array's length, refused before anything is allocated if the file cannot hold that many elements.
std::size_t read_length(ByteCursor& cursor, std::size_t element_bytes) {
  const auto length = cursor.read<std::uint64_t>("an array's length");
  if (!cursor.ok()) return 0;
  if (length > format::kMaxArrayLength || length * element_bytes > cursor.remaining()) {
    cursor.fail("an array claims " + std::to_string(length) + " elements, more than the file holds or the limit of " +
                std::to_string(format::kMaxArrayLength));
    return 0;
  }
  return length;
}

template <typename T>
Value read_array(ByteCursor& cursor) {
  std::vector<T> values(read_length(cursor, sizeof(T)));
  for (T& value : values) value = cursor.read<T>("an array");
  return values;
}

Value read_bool_array(ByteCursor& cursor) {
  std::vector<bool> values(read_length(cursor, 1));
  for (std::size_t i = 0; i < values.size() && cursor.ok(); ++i) values[i] = read_bool(cursor);
  return values;
}

Value read_string_array(ByteCursor& cursor) {
  std::vector<std::string> values(read_length(cursor, sizeof(std::uint64_t)));
  for (std::size_t i = 0; i < values.size() && cursor.ok(); ++i) {
    values[i] = cursor.read_string("a string", format::kMaxStringBytes);
  }
  return values;
}

Value read_array_value(ByteCursor& cursor) {
  const auto type = cursor.read<std::uint32_t>("an array's element type");
  switch (static_cast<ValueType>(type)) {
    case ValueType::kUint8:
      return read_array<std::uint8_t>(cursor);
    case ValueType::kInt8:
      return read_array<std::int8_t>(cursor);
    case ValueType::kUint16:
      return read_array<std::uint16_t>(cursor);
    case ValueType::kInt16:
      return read_array<std::int16_t>(cursor);
    case ValueType::kUint32:
      return read_array<std::uint32_t>(cursor);
    case ValueType::kInt32:
      return read_array<std::int32_t>(cursor);
    case ValueType::kFloat32:
      return read_array<float>(cursor);
    case ValueType::kBool:
      return read_bool_array(cursor);
    case ValueType::kString:
      return read_string_array(cursor);
    case ValueType::kUint64:
      return read_array<std::uint64_t>(cursor);
    case ValueType::kInt64:
      return read_array<std::int64_t>(cursor);
    case ValueType::kFloat64:
      return read_array<double>(cursor);
    case ValueType::kArray:
      break;
  }
  cursor.fail("array element type " + std::to_string(type) + " is not supported (arrays of arrays are not)");
  return {};
}

Value read_value(ByteCursor& cursor) {
  const auto type = cursor.read<std::uint32_t>("a value's type");
  switch (static_cast<ValueType>(type)) {
    case ValueType::kUint8:
      return read_scalar<std::uint8_t>(cursor);
    case ValueType::kInt8:
      return read_scalar<std::int8_t>(cursor);
    case ValueType::kUint16:
      return read_scalar<std::uint16_t>(cursor);
    case ValueType::kInt16:
      return read_scalar<std::int16_t>(cursor);
    case ValueType::kUint32:
      return read_scalar<std::uint32_t>(cursor);
    case ValueType::kInt32:
      return read_scalar<std::int32_t>(cursor);
    case ValueType::kFloat32:
      return read_scalar<float>(cursor);
    case ValueType::kBool:
      return read_bool(cursor);
    case ValueType::kString:
      return cursor.read_string("a string", format::kMaxStringBytes);
    case ValueType::kArray:
      return read_array_value(cursor);
    case ValueType::kUint64:
      return read_scalar<std::uint64_t>(cursor);
    case ValueType::kInt64:
      return read_scalar<std::int64_t>(cursor);
    case ValueType::kFloat64:
      return read_scalar<double>(cursor);
  }
  cursor.fail("value type " + std::to_string(type) + " is unknown to GGUF version 3");
  return {};
}

struct Counts {
  std::uint64_t tensors = 0, key_values = 0;
};

Counts read_preamble(ByteCursor& cursor) {
  const auto magic = cursor.read<std::uint32_t>("the magic number");
  if (magic != format::kGgufMagic) cursor.fail("it does not begin with 'GGUF': this is not an elastic artifact");
  const auto version = cursor.read<std::uint32_t>("the version");
  if (version != format::kGgufVersion) {
    cursor.fail("GGUF version " + std::to_string(version) + ", expected " + std::to_string(format::kGgufVersion));
  }
  Counts counts;
  counts.tensors = cursor.read<std::uint64_t>("the tensor count");
  counts.key_values = cursor.read<std::uint64_t>("the key-value count");
  if (counts.tensors > format::kMaxTensors || counts.key_values > format::kMaxKeyValues) {
    cursor.fail("it claims " + std::to_string(counts.tensors) + " tensors and " + std::to_string(counts.key_values) +
                " key-values, expected at most " + std::to_string(format::kMaxTensors) + " and " +
                std::to_string(format::kMaxKeyValues));
  }
  return counts;
}

gguf::Metadata read_metadata(ByteCursor& cursor, std::uint64_t count) {
  gguf::Metadata metadata;
  for (std::uint64_t i = 0; i < count && cursor.ok(); ++i) {
    std::string key = cursor.read_string("a key", format::kMaxNameBytes);
    Value value = read_value(cursor);
    if (!cursor.ok()) break;
    if (!metadata.emplace(key, std::move(value)).second) cursor.fail("key '" + key + "' appears twice");
  }
  return metadata;
}

// How a type stores its weights: `weights` of them, along the contiguous dimension, in `bytes`.
struct TypeTraits {
  const char* name;
  std::uint64_t weights, bytes;
};

// nullptr: the type is unknown.
const TypeTraits* type_traits(std::uint32_t type) {
  static constexpr TypeTraits kF32{"F32", 1, 4}, kF16{"F16", 1, 2}, kQ4{"Q4_0", 32, 18}, kQ8{"Q8_0", 32, 34},
      kIq4{"IQ4_NL", 32, 18};
  switch (type) {
    case format::kTypeF32:
      return &kF32;
    case format::kTypeF16:
      return &kF16;
    case format::kTypeQ4_0:
      return &kQ4;
    case format::kTypeQ8_0:
      return &kQ8;
    case format::kTypeIq4Nl:
      return &kIq4;
    default:
      return nullptr;
  }
}

// dims -> bytes; false on overflow. The first dimension is whole blocks.
bool tensor_bytes(const TensorInfo& tensor, const TypeTraits& type, std::uint64_t* bytes) {
  std::uint64_t total = type.bytes;
  for (std::size_t i = 0; i < tensor.dims.size(); ++i) {
    const std::uint64_t count = i == 0 ? tensor.dims[0] / type.weights : tensor.dims[i];
    if (count == 0 || __builtin_mul_overflow(total, count, &total)) return false;
  }
  *bytes = total;
  return true;
}

// Type and byte count, once the dimensions are known.
void read_tensor_type(ByteCursor& cursor, TensorInfo& tensor) {
  const auto type = cursor.read<std::uint32_t>("a tensor's type");
  if (!cursor.ok()) return;
  const TypeTraits* traits = type_traits(type);
  if (traits == nullptr) {
    return cursor.fail("tensor '" + tensor.name + "' has type " + std::to_string(type) +
                       ", expected F32 (0), F16 (1), Q4_0 (2), Q8_0 (8) or IQ4_NL (20)");
  }
  tensor.type = static_cast<TensorType>(type);
  if (tensor.dims[0] % traits->weights != 0) {
    return cursor.fail("tensor '" + tensor.name + "' is " + std::to_string(tensor.dims[0]) +
                       " wide, which is no multiple of " + traits->name + "'s blocks of " +
                       std::to_string(traits->weights));
  }
  if (!tensor_bytes(tensor, *traits, &tensor.bytes)) {
    cursor.fail("tensor '" + tensor.name + "' has dimensions that are zero or overflow 64 bits");
  }
}

// `file_offset` is still relative to the data section here: its start is known only after the last info.
TensorInfo read_tensor_info(ByteCursor& cursor) {
  TensorInfo tensor;
  tensor.name = cursor.read_string("a tensor's name", format::kMaxNameBytes);
  const auto dims = cursor.read<std::uint32_t>("a tensor's dimension count");
  if (cursor.ok() && (dims == 0 || dims > format::kMaxDims)) {
    cursor.fail("tensor '" + tensor.name + "' has " + std::to_string(dims) + " dimensions, expected 1 to " +
                std::to_string(format::kMaxDims));
  }
  for (std::uint32_t i = 0; i < dims && cursor.ok(); ++i)
    tensor.dims.push_back(cursor.read<std::uint64_t>("dimensions"));
  read_tensor_type(cursor, tensor);
  tensor.file_offset = cursor.read<std::uint64_t>("a tensor's offset");
  return tensor;
}

std::vector<TensorInfo> read_tensor_infos(ByteCursor& cursor, std::uint64_t count) {
  std::vector<TensorInfo> tensors;
  std::set<std::string, std::less<>> names;
  for (std::uint64_t i = 0; i < count && cursor.ok(); ++i) {
    tensors.push_back(read_tensor_info(cursor));
    if (cursor.ok() && !names.insert(tensors.back().name).second) {
      cursor.fail("tensor '" + tensors.back().name + "' appears twice");
    }
  }
  return tensors;
}

void place_tensor(ByteCursor& cursor, TensorInfo& tensor, std::span<const std::byte> file, std::uint64_t data_start) {
  const std::uint64_t offset = tensor.file_offset, data_bytes = file.size() - data_start;
  if (offset % format::kAlignment != 0) {
    cursor.fail("tensor '" + tensor.name + "' starts at " + std::to_string(offset) + ", expected a multiple of " +
                std::to_string(format::kAlignment));
  } else if (offset > data_bytes || tensor.bytes > data_bytes - offset) {
    cursor.fail("tensor '" + tensor.name + "' needs " + std::to_string(tensor.bytes) + " bytes at " +
                std::to_string(offset) + " of a data section of " + std::to_string(data_bytes) +
                "; the file is truncated or damaged");
  } else {
    tensor.file_offset = data_start + offset;
    tensor.data = file.data() + tensor.file_offset;
  }
}

void check_disjoint(ByteCursor& cursor, const std::vector<TensorInfo>& tensors, std::uint64_t file_bytes) {
  std::vector<const TensorInfo*> order;
  for (const TensorInfo& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->file_offset < b->file_offset; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (order[i - 1]->file_offset + order[i - 1]->bytes > order[i]->file_offset) {
      cursor.fail("tensors '" + order[i - 1]->name + "' and '" + order[i]->name + "' overlap");
    }
  }
  if (order.empty()) return cursor.fail("it holds no tensors");
  const std::uint64_t end = order.back()->file_offset + order.back()->bytes;
  if (file_bytes - end >= format::kAlignment) {
    cursor.fail("it goes on for " + std::to_string(file_bytes - end) + " bytes after its last tensor");
  }
}

}  // namespace

const char* type_name(TensorType type) {
  const TypeTraits* traits = type_traits(static_cast<std::uint32_t>(type));
  return traits == nullptr ? "unknown" : traits->name;
}

gguf::Metadata readable_metadata(std::span<const std::byte> file) {
  ByteCursor cursor(file);
  const Counts counts = read_preamble(cursor);
  return cursor.ok() ? read_metadata(cursor, counts.key_values) : gguf::Metadata{};
}

Result<GgufHeader> read_gguf_header(std::span<const std::byte> file) {
  ByteCursor cursor(file);
  GgufHeader header;
  const Counts counts = read_preamble(cursor);
  if (cursor.ok()) header.metadata = read_metadata(cursor, counts.key_values);
  if (cursor.ok()) {
    const auto* alignment = gguf::find<std::uint32_t>(header.metadata, format::key::kAlignmentBytes);
    if (alignment == nullptr || *alignment != format::kAlignment) {
      cursor.fail("key 'general.alignment' is missing or is not u32 " + std::to_string(format::kAlignment));
    }
  }
  if (cursor.ok()) header.tensors = read_tensor_infos(cursor, counts.tensors);
  const std::uint64_t data_start =
      (cursor.position() + format::kAlignment - 1) / format::kAlignment * format::kAlignment;
  if (cursor.ok() && data_start > file.size()) cursor.fail("the file ends before its tensor data; it is truncated");
  for (TensorInfo& tensor : header.tensors) {
    if (cursor.ok()) place_tensor(cursor, tensor, file, data_start);
  }
  if (cursor.ok()) check_disjoint(cursor, header.tensors, file.size());
  if (!cursor.ok()) return bad_data(cursor.error());
  return header;
}

}  // namespace elrt
