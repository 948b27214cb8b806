#include "model/sampling.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"

namespace elastify {
namespace {

// [batch, max_tokens] ids drawn token by token, BOS first.
torch::Tensor draw_batch(const Decoder& decoder, const SamplingRequest& request, std::int64_t batch,
                         std::uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(seed);
  const auto device = decoder.weights().embedding.device();
  const torch::Tensor stops = torch::tensor(request.stop_ids, torch::kInt64);
  torch::Tensor ids = torch::full({batch, request.max_tokens}, request.bos_id, torch::kInt64);
  torch::Tensor stopped = torch::zeros({batch}, torch::kBool);
  torch::Tensor next = torch::full({batch, 1}, request.bos_id, torch::kInt64);
  KvCache cache;
  ForwardOptions options;
  options.cache = &cache;
  for (std::int64_t position = 1; position < request.max_tokens && !stopped.all().item<bool>(); ++position) {
    const torch::Tensor logits = decoder.logits(next.to(device), options).squeeze(1).to(torch::kCPU, torch::kFloat32);
    const torch::Tensor chances = torch::softmax(logits / request.temperature, -1);
    next = torch::multinomial(chances, 1, false, generator);
    ids.select(1, position).copy_(next.squeeze(1));
    stopped = stopped | (next == stops.unsqueeze(0)).any(1);
  }
  return ids;
}

TokenDocument cut_at_stop(const std::int64_t* ids, const SamplingRequest& request) {
  std::vector<std::int64_t> kept(ids, ids + request.max_tokens);
  const auto is_stop = [&](std::int64_t id) {
    return std::count(request.stop_ids.begin(), request.stop_ids.end(), id) != 0;
  };
  const auto stop = std::find_if(kept.begin() + 1, kept.end(), is_stop);
  if (stop != kept.end()) kept.erase(*stop == request.bos_id ? stop : stop + 1, kept.end());
  return plain_document(std::move(kept));
}

}  // namespace

std::int64_t sample_batches(const SamplingRequest& request) {
  return (request.documents + request.batch - 1) / request.batch;
}

std::vector<TokenDocument> sample_batch(const Decoder& decoder, const SamplingRequest& request, std::int64_t index) {
  torch::NoGradGuard no_grad;
  require(request.max_tokens >= 2 && request.max_tokens <= decoder.config().max_positions && request.temperature > 0,
          "sampling {} tokens at temperature {} is impossible", request.max_tokens, request.temperature);
  const std::int64_t rows = std::min(request.batch, request.documents - index * request.batch);
  const torch::Tensor ids =
      draw_batch(decoder, request, rows, derive_seed(request.seed, "sample", static_cast<std::uint64_t>(index)));
  std::vector<TokenDocument> documents;
  for (std::int64_t row = 0; row < rows; ++row) {
    TokenDocument document = cut_at_stop(ids[row].data_ptr<std::int64_t>(), request);
    if (document.ids.size() >= 2) documents.push_back(std::move(document));
  }
  return documents;
}

}  // namespace elastify
