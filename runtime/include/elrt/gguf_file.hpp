// The container of GGUF files, whoever wrote them: key-values and where tensors lie, from hostile bytes. What a reader
// accepts beyond the container itself is its rules: an artifact's are strict, an import's take what others write.
// Reference: the public GGUF specification, versions 2 and 3 (little endian, same layout).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "elrt/export.h"
#include "elrt/gguf.hpp"
#include "elrt/result.hpp"

namespace elrt::gguf {

// How a tensor type stores its values: `weights` of them, along the contiguous dimension, in a block of `bytes`.
struct TypeLayout {
  std::uint32_t type;  // id of the specification
  const char* name;    // "F32", "Q4_K", ...
  std::uint32_t weights, bytes;
};
// nullptr: an id that the specification does not have (removed ones included).
ELRT_API const TypeLayout* type_layout(std::uint32_t type);

struct TensorEntry {
  std::string name;
  const TypeLayout* layout = nullptr;
  std::vector<std::uint64_t> dims;  // contiguous first, 1 to 4 of them; the first is whole blocks
  std::uint64_t offset = 0;         // from the start of the file
  std::uint64_t bytes = 0;
};

struct Header {
  std::uint32_t version = 0;
  Metadata metadata;
  std::vector<TensorEntry> tensors;  // file order
};

struct ReadRules {
  const char* what = "a GGUF file";  // for messages
  std::uint32_t oldest_version = 2;
  std::uint64_t alignment = 0;           // the only one accepted; 0: any power of two, 32 where the file has none
  std::span<const std::uint32_t> types;  // of tensors; empty: all that have a layout
  bool skip_nested_arrays = true;        // leave out keys that hold arrays of arrays; else refuse them
  bool may_lack_tensors = true;          // as the first of several files may
  bool may_go_on = true;                 // bytes after the last tensor
};

// Every count, size and offset is checked, limits are those of elrt/format.h; tensors are proven aligned, inside the
// file and disjoint. Reads nothing after the header. kBadData says what is wrong and where.
ELRT_API Result<Header> read_header(std::span<const std::byte> file, const ReadRules& rules);

// The key-values up to the first that cannot be read: for messages about files that are no artifacts.
ELRT_API Metadata readable_metadata(std::span<const std::byte> file);

}  // namespace elrt::gguf
