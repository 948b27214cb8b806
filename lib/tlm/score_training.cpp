#include "tlm/score_training.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "tlm/masked_words.h"
#include "tlm/ranking_loss.h"

namespace elastify {
namespace {

std::vector<std::size_t> lengths_of(const std::vector<LabelledRow>& rows) {
  std::vector<std::size_t> lengths;
  for (const auto& row : rows) lengths.push_back(row.row.tokens.size());
  return lengths;
}

TlmProgressFile progress_file(const fs::path& work, const char* phase) {
  return {work.empty() ? fs::path() : work / fmt::format("{}.safetensors", phase)};
}

}  // namespace

TlmBody train_body(const TlmConfig& config, const TlmSettings& settings, const std::vector<LabelledRow>& rows,
                   std::int64_t mask_id, torch::Device device, std::uint64_t seed, const fs::path& work,
                   TlmTrainResult& result) {
  TlmBody body = copy_body(random_tlm_body(config, seed), device, torch::kFloat32);
  MaskedWordHead head = random_masked_word_head(config, seed, false);
  auto slots = body_slots(body, config.prefix());
  for (auto& slot : masked_word_slots(head, config, "cls.predictions.", false)) {
    *slot.tensor = slot.tensor->to(device);
    slots.push_back(std::move(slot));
  }
  LengthSampler sampler(lengths_of(rows), settings.batch_rows, derive_seed(seed, "masked"));
  std::vector<TlmRow> drawn;
  const auto draw = [&](std::int64_t) {
    drawn.clear();
    for (const std::size_t i : sampler.next()) drawn.push_back(rows[i].row);
  };
  const auto loss = [&](std::int64_t step) {
    const TlmBatch batch = make_batch(drawn, config.pad_token_id, device);
    const MaskedBatch masked = hide_words(batch, settings.masked_share, mask_id, config.vocab_size,
                                          derive_seed(seed, "masked", static_cast<std::uint64_t>(step)));
    return masked_word_loss(head, config, body.embeddings.word, tlm_hidden(body, masked.batch, {.training = true}),
                            masked.targets);
  };
  result = train_slots("masked words", slots, settings.masked, {draw, loss}, progress_file(work, "masked"));
  return body;
}

ScoreTraining train_score_head(DualHead& model, const TlmSettings& settings, bool joint,
                               const std::vector<LabelledRow>& rows, std::uint64_t seed, const fs::path& work) {
  const torch::Device device = model.embeddings.word.device();
  LengthSampler sampler(lengths_of(rows), settings.batch_rows, derive_seed(seed, "score"));
  std::mt19937_64 random(derive_seed(seed, "score slo"));
  std::vector<TlmRow> drawn;
  std::vector<const LabelledRow*> labels;
  const auto draw = [&](std::int64_t) {
    drawn.clear();
    labels.clear();
    for (const std::size_t i : sampler.next()) {
      drawn.push_back(rows[i].row);
      set_slo(drawn.back(), random_slo(model.slo, random));
      labels.push_back(&rows[i]);
    }
  };
  const auto loss = [&](std::int64_t) {
    const TlmBatch batch = make_batch(drawn, model.body.pad_token_id, device);
    const TlmForward options{.training = true};
    const torch::Tensor logits = score_logits(model, shared_states(model, batch, options), batch.mask, options);
    const torch::Tensor words = score_loss_of(logits, batch.words, label_tensor(labels, device));
    const bool ranked = std::any_of(labels.begin(), labels.end(), [](const auto* row) { return !row->rises.empty(); });
    if (!ranked || settings.ranking.weight == 0) return words;
    return words + settings.ranking.weight * sentence_ranking_loss(logits, batch.words, labels, settings.ranking);
  };
  ScoreTraining result;
  auto slots = score_slots(model);
  if (joint) {
    auto all = bottom_slots(model);
    all.insert(all.end(), slots.begin(), slots.end());
    result.joint =
        train_slots("score-head and bottom", all, settings.joint, {draw, loss}, progress_file(work, "joint"));
  }
  result.score = train_slots("score-head", slots, settings.score, {draw, loss}, progress_file(work, "score"));
  return result;
}

double ranking_accuracy(const std::vector<std::vector<float>>& scores,
                        const std::vector<std::vector<std::int64_t>>& labels) {
  require(scores.size() == labels.size(), "every text needs scores and labels");
  double sum = 0;
  std::size_t texts = 0;
  for (std::size_t t = 0; t < scores.size(); ++t) {
    double above = 0, pairs = 0;
    for (std::size_t a = 0; a < labels[t].size(); ++a) {
      for (std::size_t b = 0; labels[t][a] == 1 && b < labels[t].size(); ++b) {
        if (labels[t][b] != 0) continue;
        above += scores[t][a] > scores[t][b] ? 1 : scores[t][a] == scores[t][b] ? 0.5 : 0;
        ++pairs;
      }
    }
    if (pairs == 0) continue;
    sum += above / pairs;
    ++texts;
  }
  return texts == 0 ? 0.5 : sum / static_cast<double>(texts);
}

}  // namespace elastify
