#include "format/foreign_file.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "elrt/format.h"
#include "elrt/gguf_file.hpp"

namespace elrt {
namespace {

constexpr char kBuild[] = "build an artifact from the model's Hugging Face folder with elastify build";
constexpr char kBuildOfIt[] = "build an artifact from it with elastify build";

// Architecture names go into a message: what is not a plain word there does not.
std::string printable(std::string_view text) {
  std::string plain(text.substr(0, 64));
  std::replace_if(
      plain.begin(), plain.end(), [](unsigned char c) { return c < 32 || c > 126; }, '?');
  return plain;
}

std::string describe_gguf(std::span<const std::byte> file) {
  std::uint32_t version = 0;
  std::memcpy(&version, file.data() + 4, sizeof(version));
  if (version == 1 || version == 2) {
    return "a GGUF file of version " + std::to_string(version) +
           ", which elastify never wrote: " + (version == 2 ? kBuildOfIt : kBuild);
  }
  const gguf::Metadata metadata = gguf::readable_metadata(file);
  const auto* architecture = gguf::find<std::string>(metadata, format::key::kArchitectureName);
  if (architecture == nullptr || *architecture == format::kArchitecture ||
      metadata.contains(format::key::kFormatVersionNumber))
    return "";
  return "a plain GGUF file (key 'general.architecture' is '" + printable(*architecture) +
         "'), as llama.cpp runs it, without levels: " + kBuildOfIt;
}

}  // namespace

std::string describe_foreign_file(std::span<const std::byte> file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), std::min<std::size_t>(file.size(), 64));
  if (text.size() < 8) return "";
  if (text.starts_with("GGUF")) return describe_gguf(file);
  if (text.size() > 8 && text[8] == '{' && text.substr(4, 4) == std::string_view("\0\0\0", 4))
    return std::string("a safetensors file: ") + kBuild;
  if (text.starts_with("PK\3\4") || (text.starts_with("\x80\x02") && text[2] != 0))
    return std::string("a PyTorch or zip file: ") + kBuild;
  if (text.starts_with("version https://")) return "a Git LFS pointer, not the file itself: run git lfs pull";
  if (text.starts_with("\x89HDF")) return "an HDF5 file, one stage's result: the artifact of a run is model.gguf";
  if ((text[0] == '{' || text[0] == '[') && text[2] != 0)
    return std::string("a JSON file: expected an artifact, model.gguf");
  return "";
}

}  // namespace elrt
