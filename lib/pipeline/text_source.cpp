#include "pipeline/text_source.h"

#include <elrt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "data/dataset.h"
#include "gguf/gguf_file.h"
#include "pack/gguf_header.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/import.h"

namespace elastify {
namespace {

std::vector<TokenDocument> load_files(const std::vector<std::string>& paths, const elrt::Tokenizer& tokenizer) {
  std::vector<TokenDocument> all;
  for (const auto& path : paths) {
    auto documents = tokenize_documents(read_documents(path), tokenizer);
    all.insert(all.end(), std::make_move_iterator(documents.begin()), std::make_move_iterator(documents.end()));
  }
  return all;
}

fs::path folder_of(const fs::path& file) { return file.has_parent_path() ? file.parent_path() : fs::path("."); }

void drop_shared(std::vector<TokenDocument>& documents, const std::vector<TokenDocument>& reserved, const char* use) {
  const auto hash = [](const TokenDocument& d) {
    return checksum64(d.ids.data(), d.ids.size() * sizeof(std::int64_t));
  };
  std::set<std::uint64_t> hashes;
  for (const auto& document : reserved) hashes.insert(hash(document));
  const auto dropped = std::erase_if(documents, [&](const TokenDocument& d) { return hashes.count(hash(d)) != 0; });
  if (dropped > 0) spdlog::info("{} of the {} documents are held out elsewhere and were dropped", dropped, use);
  if (documents.empty()) fail_usage("every {} document is also held out: give other files", use);
}

}  // namespace

fs::path tokenizer_path(const PipelineConfig& config, const Checkpoint& checkpoint) {
  return config.tokenizer.empty() ? checkpoint.tokenizer_dir() : fs::path(config.tokenizer);
}

std::vector<fs::path> tokenizer_files(const fs::path& path) {
  static const std::set<std::string> sidecars = {"tokenizer_config.json", "special_tokens_map.json",
                                                 "added_tokens.json", "generation_config.json"};
  if (is_gguf(path)) return {path};            // which holds everything
  const bool named = !fs::is_directory(path);  // a file; what stands next to it belongs to it
  std::vector<fs::path> files;
  if (named) files.push_back(path);
  for (const auto& entry : fs::directory_iterator(named ? folder_of(path) : path)) {
    const std::string name = entry.path().filename().string();
    const bool llama2c = name.rfind("tok", 0) == 0 && entry.path().extension() == ".bin";
    const bool tokenizer = name == "tokenizer.json" || name == "tokenizer.model" || name == kTokenizerGguf || llama2c;
    if (entry.is_regular_file() && ((tokenizer && !named) || sidecars.count(name) != 0)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void keep_tokenizer(const fs::path& tokenizer, const fs::path& folder) {
  if (!is_gguf(tokenizer)) {
    for (const auto& file : tokenizer_files(tokenizer))
      fs::copy_file(file, folder / file.filename(), fs::copy_options::overwrite_existing);
    return;
  }
  elrt::gguf::Metadata keys;
  const GgufFile file = open_gguf(tokenizer);
  for (const auto& [key, value] : file.metadata) {
    if (key.starts_with("tokenizer.") || key == elrt::format::key::kArchitectureName) keys.emplace(key, value);
  }
  write_file(folder / kTokenizerGguf, gguf_header(keys, {}, 32));
}

std::vector<fs::path> text_end_files(const PipelineConfig& config, const Checkpoint& checkpoint) {
  std::vector<fs::path> files;
  if (config.tokenizer.empty()) return files;
  const fs::path path = config.tokenizer, folder = fs::is_directory(path) ? path : folder_of(path);
  for (const auto& file : {folder / "config.json", checkpoint.tokenizer_dir() / "generation_config.json"}) {
    if (fs::is_regular_file(file)) files.push_back(file);
  }
  return files;
}

std::string chat_template_of(const PipelineConfig& config) {
  for (const fs::path path : {config.tokenizer, config.checkpoint}) {
    if (path.empty()) continue;
    std::string found = read_chat_template(fs::is_directory(path) || is_gguf(path) ? path : folder_of(path));
    if (!found.empty()) return found;
  }
  return "";
}

bool needs_sampling(const DataConfig& data) { return data.recovery.empty(); }

std::vector<InputPath> text_paths(const DataConfig& data) {
  std::vector<InputPath> all;
  for (const auto& path : data.calibration) all.push_back({"data.calibration", path, {}});
  for (const auto& path : data.recovery) all.push_back({"data.recovery", path, {}});
  for (const auto& path : data.held_out) all.push_back({"data.held_out", path, {}});
  return all;
}

std::string text_hash(RunDirectory& run, const PipelineConfig& config) {
  std::string all;
  const DataConfig& data = config.data;
  for (const auto* paths : {&data.calibration, &data.recovery, &data.held_out}) {
    for (const auto& path : *paths) all += run.input_hash(path) + " ";
    all += "/ ";
  }
  if (needs_sampling(data)) all += run.output_hash("sample");
  return hash_text(all + fmt::format("{} {} {}", data.held_out_share, data.pack, config.seed));
}

TextSets load_text(RunDirectory& run, const PipelineConfig& config, const elrt::Tokenizer& tokenizer) {
  const DataConfig& data = config.data;
  TextSets sets;
  sets.train = needs_sampling(data) ? load_documents(run.file(kSampledFile)) : load_files(data.recovery, tokenizer);
  if (data.held_out.empty()) {
    DocumentSplit split = split_documents(sets.train, data.held_out_share, static_cast<std::uint64_t>(config.seed));
    sets.train = std::move(split.train);
    sets.held_out = std::move(split.held_out);
  } else {
    sets.held_out = load_files(data.held_out, tokenizer);
    drop_shared(sets.train, sets.held_out, "recovery");
  }
  if (data.calibration.empty()) {
    sets.calibration = sets.train;
  } else {
    sets.calibration = load_files(data.calibration, tokenizer);
    drop_shared(sets.calibration, sets.held_out, "calibration");
  }
  return sets;
}

}  // namespace elastify
