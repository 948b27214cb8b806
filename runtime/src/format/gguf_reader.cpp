#include "format/gguf_reader.hpp"

#include <utility>

#include "elrt/format.h"
#include "elrt/gguf_file.hpp"

namespace elrt {

const char* type_name(TensorType type) {
  const gguf::TypeLayout* layout = gguf::type_layout(static_cast<std::uint32_t>(type));
  return layout == nullptr ? "unknown" : layout->name;
}

Result<GgufHeader> read_gguf_header(std::span<const std::byte> file) {
  static constexpr std::uint32_t kTypes[] = {format::kTypeF32,  format::kTypeF16,   format::kTypeQ4_0,
                                             format::kTypeQ8_0, format::kTypeIq4Nl, format::kTypeBF16};
  const gguf::ReadRules rules{.what = "an elastic artifact",
                              .oldest_version = format::kGgufVersion,
                              .alignment = format::kAlignment,
                              .types = kTypes,
                              .skip_nested_arrays = false,
                              .may_lack_tensors = false,
                              .may_go_on = false};
  Result<gguf::Header> read = gguf::read_header(file, rules);
  if (!read) return read.failure();
  GgufHeader header;
  header.metadata = std::move(read->metadata);
  for (gguf::TensorEntry& entry : read->tensors) {
    header.tensors.push_back({std::move(entry.name), static_cast<TensorType>(entry.layout->type), std::move(entry.dims),
                              entry.offset, entry.bytes, file.data() + entry.offset});
  }
  return header;
}

}  // namespace elrt
