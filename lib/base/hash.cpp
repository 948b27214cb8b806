#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>

#include "base/files.h"

namespace elastify {
namespace {

std::string hex(XXH128_hash_t hash) { return fmt::format("{:016x}{:016x}", hash.high64, hash.low64); }

}  // namespace

std::string hash_text(std::string_view text) { return hex(XXH3_128bits(text.data(), text.size())); }

std::string hash_file(const std::filesystem::path& path) { return hash_text(MappedFile(path).text()); }

std::string hash_directory(const std::filesystem::path& path) {
  std::vector<std::string> lines;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (!entry.is_regular_file()) continue;
    lines.push_back(fs::relative(entry.path(), path).generic_string() + " " + hash_file(entry.path()) + "\n");
  }
  std::sort(lines.begin(), lines.end());
  std::string all;
  for (const auto& line : lines) all += line;
  return hash_text(all);
}

std::uint64_t checksum64(const void* data, std::size_t bytes) { return XXH3_64bits(data, bytes); }

std::uint64_t derive_seed(std::uint64_t seed, std::string_view purpose, std::uint64_t index) {
  const std::array<std::uint64_t, 3> parts = {seed, XXH3_64bits(purpose.data(), purpose.size()), index};
  return XXH3_64bits(parts.data(), sizeof(parts));
}

}  // namespace elastify
