// Rows for training: prompts as tokens with their words' labels, drawn in batches of similar length.
#pragma once

#include <elrt/compression.hpp>

#include <random>

#include "base/files.h"
#include "tlm/tlm_input.h"

namespace elastify {

struct LabelledRow {
  TlmRow row;
  std::vector<std::int64_t> labels;  // per word of the text, as score_loss() wants them; empty: none
  // For ranking_loss.h: per word its sentence, an index into `rises`, or -1; empty: no sentence is ranked.
  std::vector<std::int64_t> sentences = {};
  std::vector<float> rises = {};  // per sentence, what leaving it out costs
};

// A text in rows of at most `max_positions` tokens, as chunk_tokens() cuts it; every row has all of the text's labels
// and words. `slo`: the two tokens' places, filled in by set_slo().
std::vector<LabelledRow> labelled_rows(const elrt::WordPiece& vocabulary, const elrt::WordPieces& pieces,
                                       const std::vector<std::int64_t>& labels, const std::optional<SloIds>& slo,
                                       std::int64_t max_positions);

// Rows that cost long work, kept as JSON: what keep_rows() wrote. read_rows() throws Error(kBadData) on anything else.
void keep_rows(const std::vector<LabelledRow>& rows, const fs::path& path);
std::vector<LabelledRow> read_rows(const fs::path& path);

// Puts other SLO tokens into a row that has some.
void set_slo(TlmRow& row, const SloIds& slo);

// Any pair of the tokens' levels, each as likely.
SloIds random_slo(const SloTokens& tokens, std::mt19937_64& random);

// [rows, words] int64, kIgnore where a row has no such word.
torch::Tensor label_tensor(const std::vector<const LabelledRow*>& rows, torch::Device device);

// Draws neighbours in order of length, so that little is padding: a batch begins at a random place of that order.
class LengthSampler {
 public:
  LengthSampler(const std::vector<std::size_t>& lengths, std::int64_t batch_rows, std::uint64_t seed);
  std::vector<std::size_t> next();  // indices; as many as there are where that is fewer than a batch

 private:
  std::vector<std::size_t> order_;
  std::size_t batch_rows_;
  std::mt19937_64 random_;
};

}  // namespace elastify
