#include "tlm/masked_words.h"

#include <ATen/CPUGeneratorImpl.h>

#include "base/error.h"
#include "base/hash.h"
#include "model/decoder.h"

namespace elastify {

std::vector<TlmSlot> masked_word_slots(MaskedWordHead& head, const TlmConfig& c, const std::string& prefix,
                                       bool with_rest) {
  std::vector<TlmSlot> slots;
  append_affine_slots(slots, head.transform, prefix + "transform.dense", c.hidden_size, c.hidden_size);
  slots.push_back({prefix + "transform.LayerNorm.weight", &head.norm.weight, {c.hidden_size}});
  slots.push_back({prefix + "transform.LayerNorm.bias", &head.norm.bias, {c.hidden_size}});
  if (with_rest && c.hidden_size > c.embedding_size) {
    slots.push_back({prefix + "dense.weight", &head.rest, {c.hidden_size - c.embedding_size, c.vocab_size}});
  }
  slots.push_back({prefix + "bias", &head.bias, {c.vocab_size}});
  return slots;
}

MaskedWordHead random_masked_word_head(const TlmConfig& config, std::uint64_t seed, bool with_rest) {
  MaskedWordHead head;
  initialise_slots(masked_word_slots(head, config, "cls.predictions.", with_rest), seed);
  return head;
}

torch::Tensor masked_word_logits(const MaskedWordHead& head, const TlmConfig& c, const torch::Tensor& word,
                                 const torch::Tensor& hidden) {
  const torch::Tensor active = tlm_activate(c, tlm_affine(head.transform, hidden));
  const torch::Tensor h =
      torch::layer_norm(active, {c.hidden_size}, head.norm.weight, head.norm.bias, c.layer_norm_eps);
  const torch::Tensor logits = torch::linear(h.narrow(-1, 0, c.embedding_size), word, head.bias);
  if (!head.rest.defined()) return logits;
  return logits + torch::matmul(h.narrow(-1, c.embedding_size, c.hidden_size - c.embedding_size), head.rest);
}

MaskedBatch hide_words(const TlmBatch& batch, double share, std::int64_t mask_id, std::int64_t vocab_size,
                       std::uint64_t seed) {
  require(batch.words.defined(), "words can be hidden only where a batch knows its words");
  torch::NoGradGuard no_grad;
  auto generator = at::detail::createCPUGenerator(derive_seed(seed, "hide_words"));
  const torch::Device device = batch.tokens.device();
  const std::int64_t rows = batch.tokens.size(0), words = batch.words.max().item<std::int64_t>() + 1;
  // One draw a word, spread over its tokens; special tokens and padding (word -1) read the column of 2, which is never
  // below `share`.
  const torch::Tensor draws =
      torch::cat({torch::full({rows, 1}, 2.0), torch::empty({rows, words}).uniform_(0, 1, generator)}, 1).to(device);
  const torch::Tensor hidden = draws.gather(1, batch.words + 1) < share;
  const torch::Tensor fate = torch::empty(batch.tokens.sizes()).uniform_(0, 1, generator).to(device);
  const torch::Tensor others =
      torch::empty(batch.tokens.sizes(), torch::kInt64).random_(0, vocab_size, generator).to(device);
  MaskedBatch masked{batch, batch.tokens.masked_fill(hidden.logical_not(), kIgnore)};
  masked.batch.tokens = batch.tokens.masked_fill(hidden & (fate < 0.8), mask_id);
  masked.batch.tokens = torch::where(hidden & (fate >= 0.8) & (fate < 0.9), others, masked.batch.tokens);
  return masked;
}

torch::Tensor masked_word_loss(const MaskedWordHead& head, const TlmConfig& config, const torch::Tensor& word,
                               const torch::Tensor& hidden, const torch::Tensor& targets) {
  const torch::Tensor flat = targets.flatten();
  const torch::Tensor places = (flat != kIgnore).nonzero().squeeze(1);
  if (places.numel() == 0) return hidden.sum() * 0;
  const torch::Tensor logits = masked_word_logits(head, config, word, hidden.flatten(0, 1).index_select(0, places));
  return summed_loss(logits, flat.index_select(0, places)) / places.numel();
}

}  // namespace elastify
