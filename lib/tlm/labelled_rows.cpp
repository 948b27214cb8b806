#include "tlm/labelled_rows.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/hash.h"
#include "model/decoder.h"
#include "tlm/prompt_scorer.h"

namespace elastify {

std::vector<LabelledRow> labelled_rows(const elrt::WordPiece& vocabulary, const elrt::WordPieces& pieces,
                                       const std::vector<std::int64_t>& labels, const std::optional<SloIds>& slo,
                                       std::int64_t max_positions) {
  std::vector<LabelledRow> rows;
  for (const auto& chunk : chunk_tokens(pieces, max_positions)) {
    rows.push_back(
        {make_row(vocabulary, std::span(pieces.tokens).subspan(chunk.begin, chunk.end - chunk.begin), slo), labels});
  }
  return rows;
}

void keep_rows(const std::vector<LabelledRow>& rows, const fs::path& path) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& row : rows)
    list.push_back({{"tokens", row.row.tokens},
                    {"words", row.row.words},
                    {"types", row.row.types},
                    {"labels", row.labels},
                    {"sentences", row.sentences},
                    {"rises", row.rises}});
  write_file(path, list.dump());
}

std::vector<LabelledRow> read_rows(const fs::path& path) {
  const nlohmann::json list = read_json(path);
  std::vector<LabelledRow> rows;
  try {
    for (const auto& row : list)
      rows.push_back({{row.at("tokens"), row.at("words"), row.at("types")},
                      row.at("labels"),
                      row.at("sentences"),
                      row.at("rises")});
  } catch (const nlohmann::json::exception& error) {
    fail_data("{} row {} is damaged: {}; remove the file to label again", path.string(), rows.size() + 1, error.what());
  }
  const bool whole = std::all_of(rows.begin(), rows.end(),
                                 [](const auto& row) { return row.row.words.size() == row.row.tokens.size(); });
  if (!whole) fail_data("{}: a row's words and tokens differ in number; remove the file to label again", path.string());
  for (const auto& row : rows) {
    const auto count = static_cast<std::int64_t>(row.rises.size());
    const bool known = std::all_of(row.sentences.begin(), row.sentences.end(),
                                   [&](std::int64_t sentence) { return sentence >= -1 && sentence < count; });
    if (!known)
      fail_data("{}: a word's sentence is not among its row's; remove the file to label again", path.string());
  }
  return rows;
}

void set_slo(TlmRow& row, const SloIds& slo) {
  row.tokens.at(1) = slo.ttft;
  row.tokens.at(2) = slo.tpot;
}

SloIds random_slo(const SloTokens& tokens, std::mt19937_64& random) {
  const auto level = [&] { return static_cast<double>(1 + random() % 100) / 100; };
  const double ttft = level(), tpot = level();
  return tokens.ids(ttft, tpot);
}

torch::Tensor label_tensor(const std::vector<const LabelledRow*>& rows, torch::Device device) {
  std::size_t words = 1;
  for (const auto* row : rows) words = std::max(words, row->labels.size());
  const torch::Tensor labels =
      torch::full({static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(words)}, kIgnore, torch::kInt64);
  for (std::size_t r = 0; r < rows.size(); ++r)
    std::copy(rows[r]->labels.begin(), rows[r]->labels.end(), labels.data_ptr<std::int64_t>() + r * words);
  return labels.to(device);
}

LengthSampler::LengthSampler(const std::vector<std::size_t>& lengths, std::int64_t batch_rows, std::uint64_t seed)
    : order_(lengths.size()),
      batch_rows_(std::min(lengths.size(), static_cast<std::size_t>(batch_rows))),
      random_(derive_seed(seed, "length_sampler")) {
  require(!lengths.empty(), "there is nothing to draw from");
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  std::stable_sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) { return lengths[a] < lengths[b]; });
}

std::vector<std::size_t> LengthSampler::next() {
  // Places before the first and after the last count as the first and the last window, or else rows at the ends would
  // be rare.
  const std::size_t places = order_.size() - batch_rows_ + 1, spare = batch_rows_ - 1;
  const std::size_t drawn = random_() % (places + 2 * spare);
  const std::size_t begin = std::min(drawn > spare ? drawn - spare : 0, places - 1);
  return {order_.begin() + static_cast<std::ptrdiff_t>(begin),
          order_.begin() + static_cast<std::ptrdiff_t>(begin + batch_rows_)};
}

}  // namespace elastify
