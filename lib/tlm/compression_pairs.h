// Texts with their compressed versions, from files in MeetingBank's layouts.
#pragma once

#include <string>
#include <vector>

#include "base/files.h"

namespace elastify {

struct CompressionPair {
  std::string original, compressed;
};

// .json: an array of objects, or an object of such by name; .jsonl: one object a line. An object has
//   "prompt_list" and "compressed_prompt_list", texts of equal number (LLMLingua-2's MeetingBank-LLMCompressed), or
//   "prompt" and "compressed_prompt", or "origin" and "comp"; other fields are ignored.
// Throws Error(kBadData) with file and item on anything else, and for a file without pairs.
std::vector<CompressionPair> read_compression_pairs(const fs::path& path);

}  // namespace elastify
