// What a file is that was given in place of an artifact.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace elrt {

// "a plain GGUF file ...: what to do", "a safetensors file ...: what to do"; empty where the bytes may be a damaged
// artifact or one of another version. Only looked at once a file could not be opened.
std::string describe_foreign_file(std::span<const std::byte> file);

}  // namespace elrt
