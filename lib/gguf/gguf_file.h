// A model in GGUF as others write it, mapped: one file, or the parts that llama.cpp splits it into.
#pragma once

#include <elrt/gguf_file.hpp>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"

namespace elastify {

// Where one tensor lies. Its bytes are blocks of `layout`, row after row.
struct GgufEntry {
  std::shared_ptr<const MappedFile> file;
  std::size_t offset = 0, bytes = 0;
  const elrt::gguf::TypeLayout* layout = nullptr;
  std::vector<std::int64_t> shape;  // [outputs, inputs] as in Hugging Face: the contiguous dimension last
};

struct GgufFile {
  fs::path path;                  // the file, or the first part
  std::vector<fs::path> files;    // every part, in order
  elrt::gguf::Metadata metadata;  // of the first part
  std::map<std::string, GgufEntry> tensors;

  // "general.architecture"; empty where it is missing or no string.
  std::string architecture() const;
};

// Takes the file of an unsplit model, or any part of a split one ("NAME-00002-of-00003.gguf"), whose other parts must
// lie next to it. Only headers are read. Throws Error(kBadData), naming the file, on damage, on an elastic artifact, on
// parts that are missing or belong to different splits, and on a tensor that two parts hold.
GgufFile open_gguf(const fs::path& path);

// By its first bytes.
bool is_gguf(const fs::path& path);

}  // namespace elastify
