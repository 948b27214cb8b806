#include "checkpoint/checkpoint_path.h"

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "gguf/gguf_file.h"

namespace elastify {
namespace {

constexpr char kIndex[] = "model.safetensors.index.json", kSingle[] = "model.safetensors";
constexpr char kWanted[] =
    "expected a Hugging Face folder (config.json with model.safetensors), a .gguf file or a llama2.c .bin file";

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// "model-00001-of-00002.safetensors"
bool is_shard(const fs::path& path) {
  const std::string name = path.filename().string();
  return path.extension() == ".safetensors" && name.starts_with("model-") && name.find("-of-") != std::string::npos;
}

// Plain files directly in `folder` that `wanted` accepts, sorted.
template <typename F>
std::vector<fs::path> files_in(const fs::path& folder, F&& wanted) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (is_file(at->path()) && wanted(at->path())) found.push_back(at->path());
  }
  if (error) fail_data("cannot list {}: {}", folder.string(), error.message());
  std::sort(found.begin(), found.end());
  return found;
}

std::string first_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(16, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return bytes;
}

// What a file is by its first bytes, for people; empty: none of what users mistake for a checkpoint.
std::string foreign_kind(const fs::path& path) {
  // A llama2.c file begins with its width, four bytes of which the last two are zero.
  const std::string bytes = first_bytes(path), extension = lower(path.extension().string());
  if (bytes.starts_with("PK\3\4") || (bytes.starts_with("\x80\x02") && bytes[2] != 0) || extension == ".pt" ||
      extension == ".pth") {
    return "a PyTorch pickle, which is not read because it can hold code: load it with transformers and save it with "
           "save_pretrained(folder, safe_serialization=True)";
  }
  if (bytes.starts_with("version https://")) return "a Git LFS pointer, not the file itself: run git lfs pull";
  if (bytes.starts_with("\x89HDF")) return "an HDF5 file";
  if (extension == ".safetensors" ||
      (bytes.size() > 8 && bytes[8] == '{' && bytes.substr(4, 4) == std::string(4, '\0')))
    return "a safetensors file without its config.json next to it";
  if (extension == ".json" || (bytes.size() > 2 && (bytes[0] == '{' || bytes[0] == '[') && bytes[2] != 0))
    return "a JSON file without config.json and weights next to it";
  if (extension == ".model" || (extension == ".bin" && lower(path.filename().string()).starts_with("tok")))
    return "a tokenizer";
  return "";
}

CheckpointPath hugging_face(const fs::path& folder, ImportNotes& notes) {
  CheckpointPath found{CheckpointPath::Kind::kHuggingFace, folder, folder / kSingle};
  const auto shards = files_in(folder, is_shard);
  const bool index = is_file(folder / kIndex);
  if (is_file(found.weights)) {
    if (index || !shards.empty()) {
      notes.push_back(
          fmt::format("{}: ignored, because the folder holds {} too, which is read (as transformers does); "
                      "remove the one that is not meant",
                      (index ? folder / kIndex : shards.front()).string(), kSingle));
    }
    return found;
  }
  found.weights = folder / kIndex;
  if (index) return found;
  if (!shards.empty()) {
    fail_data("{}: {} shards of weights ({}, ...) without {}: download the index too", folder.string(), shards.size(),
              shards.front().filename().string(), kIndex);
  }
  const auto pickles = files_in(folder, [](const fs::path& file) {
    return file.filename().string().starts_with("pytorch_model") || file.extension() == ".pth";
  });
  if (!pickles.empty())
    fail_data("{}: {} is {}", folder.string(), pickles.front().filename().string(),
              "a PyTorch pickle, which is not read because it can hold code: load it with "
              "transformers and save it with save_pretrained(folder, safe_serialization=True)");
  fail_data("{}: expected {} or {} next to config.json, found neither", folder.string(), kSingle, kIndex);
}

CheckpointPath in_folder(const fs::path& folder, ImportNotes& notes) {
  if (is_file(folder / "config.json")) return hugging_face(folder, notes);
  // One model in GGUF, in however many parts; one that is read as a checkpoint says itself what it is.
  const auto models =
      files_in(folder, [](const fs::path& file) { return file.extension() == ".gguf" && is_gguf(file); });
  if (!models.empty()) {
    if (models.size() > 1 && open_gguf(models.front()).files.size() != models.size())
      fail_data("{}: holds {} .gguf files ({}, ...): name the one that is meant", folder.string(), models.size(),
                models.front().filename().string());
    return {CheckpointPath::Kind::kGguf, models.front(), {}};
  }
  const auto candidates = files_in(folder, [](const fs::path& file) {
    return file.extension() == ".bin" && file.filename().string().rfind("tok", 0) != 0;
  });
  if (candidates.size() == 1 && foreign_kind(candidates.front()).empty())
    return {CheckpointPath::Kind::kLlama2c, candidates.front(), {}};
  const auto others = files_in(folder, [](const fs::path& file) { return !foreign_kind(file).empty(); });
  if (candidates.size() < 2 && !others.empty()) {
    fail_data("{}: {}; {} in it is {}", folder.string(), kWanted, others.front().filename().string(),
              foreign_kind(others.front()));
  }
  fail_data("{}: {}, found {} candidates", folder.string(), kWanted, candidates.size());
}

}  // namespace

CheckpointPath find_checkpoint(const fs::path& given, ImportNotes& notes) {
  std::error_code error;
  if (!fs::exists(given, error)) fail_data("checkpoint {} does not exist: {}", given.string(), kWanted);
  if (fs::is_directory(given, error)) return in_folder(given, notes);
  if (!is_file(given)) fail_data("checkpoint {} is no plain file or folder: {}", given.string(), kWanted);
  if (is_gguf(given)) return {CheckpointPath::Kind::kGguf, given, {}};
  const std::string kind = foreign_kind(given);
  if (kind.empty()) return {CheckpointPath::Kind::kLlama2c, given, {}};
  const fs::path folder = given.has_parent_path() ? given.parent_path() : fs::path(".");
  const std::string extension = given.extension().string();
  const bool part = extension == ".json" || extension == ".safetensors" || extension == ".model";
  if (!part || !is_file(folder / "config.json")) fail_data("checkpoint {} is {}; {}", given.string(), kind, kWanted);
  notes.push_back(
      fmt::format("{}: stands for its folder {}, whose checkpoint is read", given.string(), folder.string()));
  return hugging_face(folder, notes);
}

}  // namespace elastify
