#include "pipeline/text_source.h"

#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "io/dataset.h"

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

void drop_shared(std::vector<TokenDocument>& documents, const std::vector<TokenDocument>& reserved, const char* use) {
  const auto hash = [](const TokenDocument& d) { return checksum64(d.ids.data(), d.ids.size() * sizeof(std::int64_t)); };
  std::set<std::uint64_t> hashes;
  for (const auto& document : reserved) hashes.insert(hash(document));
  const auto dropped = std::erase_if(documents, [&](const TokenDocument& d) { return hashes.count(hash(d)) != 0; });
  if (dropped > 0) spdlog::info("{} of the {} documents are held out elsewhere and were dropped", dropped, use);
  if (documents.empty()) fail_usage("every {} document is also held out: give other files", use);
}

}  // namespace

bool needs_sampling(const DataConfig& data) { return data.recovery.empty(); }

std::string text_hash(RunDirectory& run, const PipelineConfig& config) {
  std::string all;
  const DataConfig& data = config.data;
  for (const auto* paths : {&data.calibration, &data.recovery, &data.held_out}) {
    for (const auto& path : *paths) all += run.content_hash(path) + " ";
    all += "/ ";
  }
  if (needs_sampling(data)) all += run.output_hash("sample");
  return hash_text(all + fmt::format("{} {}", data.held_out_share, config.seed));
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
