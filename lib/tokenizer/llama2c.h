// llama2.c's tokenizer.bin.
#pragma once

#include <cstdint>
#include <filesystem>

#include "elrt/tokenizer.hpp"

namespace elastify {

// Little endian: i32 longest token in bytes, then per token f32 score, i32 size, bytes. Ids: 0 unknown, 1 BOS, 2 EOS,
// 3..258 the bytes <0x00>..<0xFF>. Spaces are plain; text gets one before it, which decoding takes away again.
// `vocab_size` 0: as many tokens as the file has. Throws Error(kBadData).
elrt::TokenizerSpec read_tokenizer_llama2c(const std::filesystem::path& file, std::int64_t vocab_size);

}  // namespace elastify
