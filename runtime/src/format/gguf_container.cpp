#include "elrt/gguf_file.hpp"

#include <algorithm>
#include <bit>
#include <iterator>
#include <optional>
#include <set>
#include <string>

#include "elrt/format.h"
#include "format/byte_cursor.hpp"

namespace elrt::gguf {
namespace {

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

void skip_nested_array(ByteCursor& cursor, int depth);

// An empty string array where the elements are arrays, which the rules leave out.
Value read_array_value(ByteCursor& cursor, const ReadRules& rules, bool& skipped) {
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
      skipped = true;
      if (rules.skip_nested_arrays) return skip_nested_array(cursor, 1), Value();
      break;
  }
  cursor.fail("array element type " + std::to_string(type) + " is not supported (arrays of arrays are not)");
  return {};
}

// What follows the element type of an array of arrays: a length, then that many arrays.
void skip_nested_array(ByteCursor& cursor, int depth) {
  constexpr int kMaxDepth = 4;
  if (depth > kMaxDepth) return cursor.fail("arrays nest deeper than " + std::to_string(kMaxDepth));
  const std::size_t length = read_length(cursor, sizeof(std::uint32_t) + sizeof(std::uint64_t));
  for (std::size_t i = 0; i < length && cursor.ok(); ++i) {
    ByteCursor probe = cursor;
    if (static_cast<ValueType>(probe.read<std::uint32_t>("an array's element type")) == ValueType::kArray) {
      cursor = probe;
      skip_nested_array(cursor, depth + 1);
    } else {
      bool skipped = false;
      read_array_value(cursor, {}, skipped);
    }
  }
}

Value read_value(ByteCursor& cursor, const ReadRules& rules, bool& skipped) {
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
      return read_array_value(cursor, rules, skipped);
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

struct Preamble {
  std::uint32_t version = 0;
  std::uint64_t tensors = 0, key_values = 0;
};

void check_version(ByteCursor& cursor, std::uint32_t version, const ReadRules& rules) {
  if (version >= rules.oldest_version && version <= format::kGgufVersion) return;
  const bool big_endian = version > 0 && (version & 0xFFFFFF) == 0;
  cursor.fail(big_endian
                  ? "it is big endian, which is not read: make it again for little endian machines"
                  : "GGUF version " + std::to_string(version) + ", expected " +
                        (rules.oldest_version < format::kGgufVersion ? std::to_string(rules.oldest_version) + " to "
                                                                     : std::string()) +
                        std::to_string(format::kGgufVersion));
}

Preamble read_preamble(ByteCursor& cursor, const ReadRules& rules) {
  Preamble found;
  const auto magic = cursor.read<std::uint32_t>("the magic number");
  if (magic != format::kGgufMagic) cursor.fail(std::string("it does not begin with 'GGUF': this is not ") + rules.what);
  found.version = cursor.read<std::uint32_t>("the version");
  if (cursor.ok()) check_version(cursor, found.version, rules);
  found.tensors = cursor.read<std::uint64_t>("the tensor count");
  found.key_values = cursor.read<std::uint64_t>("the key-value count");
  if (found.tensors > format::kMaxTensors || found.key_values > format::kMaxKeyValues) {
    cursor.fail("it claims " + std::to_string(found.tensors) + " tensors and " + std::to_string(found.key_values) +
                " key-values, expected at most " + std::to_string(format::kMaxTensors) + " and " +
                std::to_string(format::kMaxKeyValues));
  }
  return found;
}

Metadata read_metadata(ByteCursor& cursor, std::uint64_t count, const ReadRules& rules) {
  Metadata metadata;
  std::set<std::string> left_out;
  for (std::uint64_t i = 0; i < count && cursor.ok(); ++i) {
    std::string key = cursor.read_string("a key", format::kMaxNameBytes);
    bool skipped = false;
    Value value = read_value(cursor, rules, skipped);
    if (!cursor.ok()) break;
    const bool twice = left_out.contains(key) || (skipped && metadata.contains(key));
    if (twice) cursor.fail("key '" + key + "' appears twice");
    if (skipped) {
      left_out.insert(key);
      continue;
    }
    if (!metadata.emplace(key, std::move(value)).second) cursor.fail("key '" + key + "' appears twice");
  }
  return metadata;
}

// dims -> bytes; false on overflow. The first dimension is whole blocks.
bool tensor_bytes(const TensorEntry& tensor, const TypeLayout& type, std::uint64_t* bytes) {
  std::uint64_t total = type.bytes;
  for (std::size_t i = 0; i < tensor.dims.size(); ++i) {
    const std::uint64_t count = i == 0 ? tensor.dims[0] / type.weights : tensor.dims[i];
    if (count == 0 || __builtin_mul_overflow(total, count, &total)) return false;
  }
  *bytes = total;
  return true;
}

// "F32 (0), F16 (1) or Q8_0 (8)"
std::string list_types(std::span<const std::uint32_t> types) {
  std::string text;
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (i > 0) text += i + 1 < types.size() ? ", " : " or ";
    text += type_layout(types[i])->name + (" (" + std::to_string(types[i])) + ")";
  }
  return text;
}

// Type and byte count, once the dimensions are known.
void read_tensor_type(ByteCursor& cursor, TensorEntry& tensor, const ReadRules& rules) {
  const auto type = cursor.read<std::uint32_t>("a tensor's type");
  if (!cursor.ok()) return;
  tensor.layout = type_layout(type);
  const bool allowed =
      rules.types.empty() || std::find(rules.types.begin(), rules.types.end(), type) != rules.types.end();
  if (tensor.layout == nullptr || !allowed) {
    return cursor.fail("tensor '" + tensor.name + "' has type " + std::to_string(type) +
                       (tensor.layout != nullptr ? " (" + std::string(tensor.layout->name) + ")" : std::string()) +
                       (rules.types.empty() ? ", which GGUF does not have" : ", expected " + list_types(rules.types)));
  }
  if (tensor.dims[0] % tensor.layout->weights != 0) {
    return cursor.fail("tensor '" + tensor.name + "' is " + std::to_string(tensor.dims[0]) +
                       " wide, which is no multiple of " + tensor.layout->name + "'s blocks of " +
                       std::to_string(tensor.layout->weights));
  }
  if (!tensor_bytes(tensor, *tensor.layout, &tensor.bytes)) {
    cursor.fail("tensor '" + tensor.name + "' has dimensions that are zero or overflow 64 bits");
  }
}

// `offset` is still relative to the data section here: its start is known only after the last info.
TensorEntry read_tensor_entry(ByteCursor& cursor, const ReadRules& rules) {
  TensorEntry tensor;
  tensor.name = cursor.read_string("a tensor's name", format::kMaxNameBytes);
  const auto dims = cursor.read<std::uint32_t>("a tensor's dimension count");
  if (cursor.ok() && (dims == 0 || dims > format::kMaxDims)) {
    cursor.fail("tensor '" + tensor.name + "' has " + std::to_string(dims) + " dimensions, expected 1 to " +
                std::to_string(format::kMaxDims));
  }
  for (std::uint32_t i = 0; i < dims && cursor.ok(); ++i)
    tensor.dims.push_back(cursor.read<std::uint64_t>("dimensions"));
  read_tensor_type(cursor, tensor, rules);
  tensor.offset = cursor.read<std::uint64_t>("a tensor's offset");
  return tensor;
}

std::vector<TensorEntry> read_tensor_entries(ByteCursor& cursor, std::uint64_t count, const ReadRules& rules) {
  std::vector<TensorEntry> tensors;
  std::set<std::string, std::less<>> names;
  for (std::uint64_t i = 0; i < count && cursor.ok(); ++i) {
    tensors.push_back(read_tensor_entry(cursor, rules));
    if (cursor.ok() && !names.insert(tensors.back().name).second) {
      cursor.fail("tensor '" + tensors.back().name + "' appears twice");
    }
  }
  return tensors;
}

// From the data section's start to the file's.
void place_tensor(ByteCursor& cursor, TensorEntry& tensor, std::uint64_t file_bytes, std::uint64_t data_start,
                  std::uint64_t alignment) {
  const std::uint64_t offset = tensor.offset, data_bytes = file_bytes - data_start;
  if (offset % alignment != 0) {
    cursor.fail("tensor '" + tensor.name + "' starts at " + std::to_string(offset) + ", expected a multiple of " +
                std::to_string(alignment));
  } else if (offset > data_bytes || tensor.bytes > data_bytes - offset) {
    cursor.fail("tensor '" + tensor.name + "' needs " + std::to_string(tensor.bytes) + " bytes at " +
                std::to_string(offset) + " of a data section of " + std::to_string(data_bytes) +
                "; the file is truncated or damaged");
  } else {
    tensor.offset = data_start + offset;
  }
}

void check_disjoint(ByteCursor& cursor, const std::vector<TensorEntry>& tensors, std::uint64_t file_bytes,
                    std::uint64_t alignment, const ReadRules& rules) {
  std::vector<const TensorEntry*> order;
  for (const TensorEntry& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->offset < b->offset; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (order[i - 1]->offset + order[i - 1]->bytes > order[i]->offset) {
      cursor.fail("tensors '" + order[i - 1]->name + "' and '" + order[i]->name + "' overlap");
    }
  }
  if (order.empty()) {
    if (!rules.may_lack_tensors) cursor.fail("it holds no tensors");
    return;
  }
  const std::uint64_t end = order.back()->offset + order.back()->bytes;
  if (!rules.may_go_on && file_bytes - end >= alignment) {
    cursor.fail("it goes on for " + std::to_string(file_bytes - end) + " bytes after its last tensor");
  }
}

std::uint64_t read_alignment(ByteCursor& cursor, const Metadata& metadata, const ReadRules& rules) {
  constexpr std::uint64_t kDefault = 32, kLowest = 8, kHighest = 1u << 20;  // the specification's, and sane bounds
  constexpr const char* kKey = format::key::kAlignmentBytes;
  if (rules.alignment != 0) {
    const auto* found = find<std::uint32_t>(metadata, kKey);
    if (found == nullptr || *found != rules.alignment)
      cursor.fail(std::string("key '") + kKey + "' is missing or is not u32 " + std::to_string(rules.alignment));
    return rules.alignment;
  }
  if (!metadata.contains(kKey)) return kDefault;
  const std::optional<std::int64_t> found = find_integer(metadata, kKey);
  const auto value = static_cast<std::uint64_t>(found.value_or(0));
  if (!found || value < kLowest || value > kHighest || !std::has_single_bit(value)) {
    cursor.fail(std::string("key '") + kKey + "' is " + (found ? std::to_string(*found) : "no whole number") +
                ", expected a power of two from 8 to 1048576");
    return kDefault;
  }
  return value;
}

constexpr TypeLayout kLayouts[] = {
    {0, "F32", 1, 4},         {1, "F16", 1, 2},         {2, "Q4_0", 32, 18},      {3, "Q4_1", 32, 20},
    {6, "Q5_0", 32, 22},      {7, "Q5_1", 32, 24},      {8, "Q8_0", 32, 34},      {9, "Q8_1", 32, 36},
    {10, "Q2_K", 256, 84},    {11, "Q3_K", 256, 110},   {12, "Q4_K", 256, 144},   {13, "Q5_K", 256, 176},
    {14, "Q6_K", 256, 210},   {15, "Q8_K", 256, 292},   {16, "IQ2_XXS", 256, 66}, {17, "IQ2_XS", 256, 74},
    {18, "IQ3_XXS", 256, 98}, {19, "IQ1_S", 256, 50},   {20, "IQ4_NL", 32, 18},   {21, "IQ3_S", 256, 110},
    {22, "IQ2_S", 256, 82},   {23, "IQ4_XS", 256, 136}, {24, "I8", 1, 1},         {25, "I16", 1, 2},
    {26, "I32", 1, 4},        {27, "I64", 1, 8},        {28, "F64", 1, 8},        {29, "IQ1_M", 256, 56},
    {30, "BF16", 1, 2},       {34, "TQ1_0", 256, 54},   {35, "TQ2_0", 256, 66},   {39, "MXFP4", 32, 17},
};

}  // namespace

const TypeLayout* type_layout(std::uint32_t type) {
  const auto* found = std::find_if(std::begin(kLayouts), std::end(kLayouts),
                                   [&](const TypeLayout& layout) { return layout.type == type; });
  return found == std::end(kLayouts) ? nullptr : found;
}

Metadata readable_metadata(std::span<const std::byte> file) {
  ByteCursor cursor(file);
  const ReadRules rules;
  const Preamble preamble = read_preamble(cursor, rules);
  return cursor.ok() ? read_metadata(cursor, preamble.key_values, rules) : Metadata{};
}

Result<Header> read_header(std::span<const std::byte> file, const ReadRules& rules) {
  ByteCursor cursor(file);
  Header header;
  const Preamble preamble = read_preamble(cursor, rules);
  header.version = preamble.version;
  if (cursor.ok()) header.metadata = read_metadata(cursor, preamble.key_values, rules);
  const std::uint64_t alignment = cursor.ok() ? read_alignment(cursor, header.metadata, rules) : 1;
  if (cursor.ok()) header.tensors = read_tensor_entries(cursor, preamble.tensors, rules);
  const std::uint64_t data_start = (cursor.position() + alignment - 1) / alignment * alignment;
  const bool has_data = !header.tensors.empty() || !rules.may_lack_tensors;
  if (cursor.ok() && has_data && data_start > file.size())
    cursor.fail("the file ends before its tensor data; it is truncated");
  for (TensorEntry& tensor : header.tensors) {
    if (cursor.ok()) place_tensor(cursor, tensor, file.size(), data_start, alignment);
  }
  if (cursor.ok()) check_disjoint(cursor, header.tensors, file.size(), alignment, rules);
  if (!cursor.ok()) return bad_data(cursor.error());
  return header;
}

}  // namespace elrt::gguf
