#include "pipeline/stages.h"

#include <algorithm>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "model/sampling.h"
#include "pipeline/stage_parts.h"
#include "pipeline/text_source.h"

namespace elastify {
namespace {

// As many documents at once as keep the key-value cache below 1 GiB, at most 256.
std::int64_t sampling_batch(const ModelConfig& config, std::int64_t max_tokens) {
  const std::int64_t document_bytes = config.num_layers * 2 * config.num_kv_heads * config.head_dim * max_tokens * 4;
  return std::clamp<std::int64_t>((std::int64_t{1} << 30) / document_bytes, 1, 256);
}

// Every batch is a file in `work`, so that a run that was stopped goes on with the next.
std::vector<TokenDocument> sample_all(const Decoder& decoder, const SamplingRequest& request, const fs::path& work) {
  const std::int64_t batches = sample_batches(request);
  Progress progress("sample", batches, "batches");
  std::vector<TokenDocument> all;
  for (std::int64_t index = 0; index < batches; ++index) {
    const fs::path path = work / fmt::format("batch_{}.safetensors", index);
    if (!fs::exists(path)) save_documents(path, sample_batch(decoder, request, index));
    const auto documents = load_documents(path);
    all.insert(all.end(), documents.begin(), documents.end());
    progress.update(index + 1);
    stop_if_interrupted();
  }
  return all;
}

}  // namespace

json run_sample(const StageContext& context) {
  const DataConfig& data = context.config.data;
  const Checkpoint checkpoint = Checkpoint::open(context.config.checkpoint);
  const elrt::Tokenizer tokenizer = load_tokenizer(context.config, checkpoint);
  if (tokenizer.bos_id() < 0) {
    fail_usage("{}: the tokenizer has no BOS token to sample from: give text with data.recovery",
               context.config.checkpoint);
  }
  SamplingRequest request;
  request.documents = data.sample_documents;
  request.max_tokens = std::min(data.sample_tokens, checkpoint.config().max_positions);
  request.temperature = data.sample_temperature;
  request.bos_id = tokenizer.bos_id();
  request.stop_ids = {tokenizer.bos_id()};
  if (tokenizer.eos_id() >= 0) request.stop_ids.push_back(tokenizer.eos_id());
  for (const std::int32_t id : tokenizer.spec().stop_ids) request.stop_ids.push_back(id);
  request.seed = context.seed();
  request.batch = sampling_batch(checkpoint.config(), request.max_tokens);
  const Decoder decoder = load_decoder(context, checkpoint);
  const auto documents = sample_all(decoder, request, context.work);
  if (documents.size() < 2)
    fail_data("{}: the model ends its text at once: give text with data.recovery", context.config.checkpoint);
  save_documents(context.run.file(kSampledFile), documents);
  std::size_t tokens = 0;
  for (const auto& document : documents) tokens += document.ids.size();
  return {{"documents", documents.size()}, {"tokens", tokens}};
}

std::string describe_sample(const json& summary) {
  return fmt::format("{} documents, {} tokens, drawn from the model itself\n",
                     summary.at("documents").get<std::int64_t>(), summary.at("tokens").get<std::int64_t>());
}

}  // namespace elastify
