#include "tlm/tlm_input.h"

#include <algorithm>

#include "base/error.h"

namespace elastify {

TlmRow make_row(const elrt::WordPiece& vocabulary, std::span<const elrt::WordPieceToken> pieces,
                const std::optional<SloIds>& slo) {
  TlmRow row;
  const auto add = [&](std::int64_t token, std::int64_t word, std::int64_t type = 0) {
    row.tokens.push_back(token);
    row.types.push_back(type);
    row.words.push_back(word);
  };
  add(vocabulary.cls_id(), -1);
  if (slo) {
    add(slo->ttft, -1);
    add(slo->tpot, -1);
  }
  for (const auto& piece : pieces) add(piece.id, static_cast<std::int64_t>(piece.word), piece.segment);
  add(vocabulary.sep_id(), -1);
  return row;
}

TlmBatch make_batch(std::span<const TlmRow> rows, std::int64_t pad_id, torch::Device device) {
  require(!rows.empty(), "a batch needs at least one row");
  std::size_t seq = 0;
  for (const auto& row : rows) {
    require(!row.tokens.empty() && row.tokens.size() == row.words.size() &&
                (row.types.empty() || row.types.size() == row.tokens.size()),
            "a row needs as many words, and types if any, as tokens, and at least one");
    seq = std::max(seq, row.tokens.size());
  }
  const std::vector<std::int64_t> shape = {static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(seq)};
  const torch::Tensor tokens = torch::full(shape, pad_id, torch::kInt64), words = torch::full(shape, -1, torch::kInt64),
                      types = torch::zeros(shape, torch::kInt64);
  const torch::Tensor mask = torch::zeros(shape, torch::kBool);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::copy(rows[i].tokens.begin(), rows[i].tokens.end(), tokens.data_ptr<std::int64_t>() + i * seq);
    std::copy(rows[i].words.begin(), rows[i].words.end(), words.data_ptr<std::int64_t>() + i * seq);
    std::copy(rows[i].types.begin(), rows[i].types.end(), types.data_ptr<std::int64_t>() + i * seq);
    std::fill_n(mask.data_ptr<bool>() + i * seq, rows[i].tokens.size(), true);
  }
  return {tokens.to(device), mask.to(device), words.to(device), types.to(device)};
}

}  // namespace elastify
