#include "tlm/ranking_loss.h"

#include <algorithm>

namespace elastify {

torch::Tensor pair_margin_loss(const torch::Tensor& scores, const torch::Tensor& rises, const torch::Tensor& present,
                               double margin, double min_gap) {
  const torch::Tensor gap = rises.unsqueeze(2) - rises.unsqueeze(1);  // [rows, better, worse]
  const torch::Tensor pairs = (gap >= min_gap) & (gap > 0) & present.unsqueeze(2) & present.unsqueeze(1);
  const torch::Tensor short_of = torch::relu(margin - (scores.unsqueeze(2) - scores.unsqueeze(1)));
  return (short_of * pairs.to(scores.scalar_type())).sum() / pairs.sum().clamp_min(1);
}

torch::Tensor sentence_ranking_loss(const torch::Tensor& logits, const torch::Tensor& words,
                                    const std::vector<const LabelledRow*>& rows, const RankingConfig& config) {
  std::size_t word_count = 1, sentence_count = 1;
  for (const auto* row : rows) {
    word_count = std::max(word_count, row->sentences.size());
    sentence_count = std::max(sentence_count, row->rises.size());
  }
  const auto batch = static_cast<std::int64_t>(rows.size()), w = static_cast<std::int64_t>(word_count),
             s = static_cast<std::int64_t>(sentence_count);
  // Words of rows without ranked sentences may be more than that: they count as no word's tokens.
  const torch::Tensor ranked = words.masked_fill(words >= w, -1);
  torch::Tensor of = torch::full({batch, w}, std::int64_t{-1}, torch::kInt64), rises = torch::zeros({batch, s});
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::copy(rows[r]->sentences.begin(), rows[r]->sentences.end(), of.data_ptr<std::int64_t>() + r * word_count);
    std::copy(rows[r]->rises.begin(), rows[r]->rises.end(), rises.data_ptr<float>() + r * sentence_count);
  }
  of = of.to(logits.device());
  const torch::Tensor keep = word_keep_probability(logits, ranked, w);
  const torch::Tensor tokens = torch::zeros({batch, w + 1}, ranked.options())
                                   .scatter_add(1, ranked + 1, torch::ones_like(ranked))
                                   .narrow(1, 1, w);
  const torch::Tensor inside = (of.unsqueeze(1) == torch::arange(s, of.options()).view({1, s, 1})) &
                               (tokens > 0).unsqueeze(1);  // [batch, sentences, words]
  const torch::Tensor scores = (keep.unsqueeze(1) * inside.to(keep.scalar_type())).amax(2);  // probabilities: 0 is none
  return pair_margin_loss(scores, rises.to(logits.device()), inside.any(2), config.margin, config.min_gap);
}

}  // namespace elastify
