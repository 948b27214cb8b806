// Content hashes for stage keys and provenance (XXH3-128, not cryptographic: it guards against change, not malice).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace elastify {

std::string hash_text(std::string_view text);                   // 32 hexadecimal digits
std::string hash_file(const std::filesystem::path& path);       // of its bytes; throws Error(kBadData) if unreadable
std::string hash_directory(const std::filesystem::path& path);  // of sorted relative names and contents
std::uint64_t checksum64(const void* data, std::size_t bytes);  // XXH3-64, as in the artifact

// Independent random streams from one seed: equal arguments give equal results on every machine.
std::uint64_t derive_seed(std::uint64_t seed, std::string_view purpose, std::uint64_t index = 0);

}  // namespace elastify
