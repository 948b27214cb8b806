#include "pipeline/stage_parts.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "pipeline/text_source.h"
#include "quantise/quantise.h"
#include "tokenizer/import.h"

namespace elastify {

elrt::TokenizerSpec load_tokenizer_spec(const PipelineConfig& config, const Checkpoint& checkpoint) {
  return import_tokenizer(tokenizer_path(config, checkpoint), checkpoint.config().vocab_size,
                          checkpoint.tokenizer_dir());
}

elrt::Tokenizer load_tokenizer(const PipelineConfig& config, const Checkpoint& checkpoint) {
  auto tokenizer = elrt::Tokenizer::create(load_tokenizer_spec(config, checkpoint));
  if (!tokenizer) fail_data("{}", tokenizer.failure().message);
  return std::move(tokenizer).value();
}

Decoder load_decoder(const StageContext& context, const Checkpoint& checkpoint) {
  return Decoder(load_weights(checkpoint, context.device, torch::kFloat32));
}

TokenRows make_rows(const DataConfig& data, const std::vector<TokenDocument>& documents, std::int64_t seq,
                    std::int64_t max_tokens, std::uint64_t seed) {
  return data.pack ? pack_rows(documents, seq, max_tokens, seed) : separate_rows(documents, seq, max_tokens, seed);
}

TokenRows calibration_rows(const StageContext& context, const Checkpoint& checkpoint, std::int64_t tokens) {
  const elrt::Tokenizer tokenizer = load_tokenizer(context.config, checkpoint);
  const TextSets text = load_text(context.run, context.config, tokenizer);
  const std::int64_t seq = std::min(context.config.profile.seq, checkpoint.config().max_positions);
  if (tokens == 0) return make_rows(context.config.data, text.calibration, seq, 0, context.seed() + 1);
  const TokenRows rows = predicting_rows(text.calibration, seq, tokens, context.seed() + 1, context.config.data.pack);
  const std::int64_t found = rows.target_count();
  if (found + seq < tokens) {
    spdlog::warn(
        "the calibration text predicts {} tokens, {} were asked for: give more text, or expect noisier results", found,
        tokens);
  }
  return rows;
}

bool rounds_by_text(const PipelineConfig& config) {
  return elrt::is_quantised(type_of(config.finetune.base_dtype)) && config.pack.calibration_tokens > 0;
}

RoundingText rounding_text(const StageContext& context, const Checkpoint& reordered, const ElasticPlan& plan) {
  const PackConfig& settings = context.config.pack;
  RoundingText text;
  text.tokens = calibration_rows(context, reordered, settings.calibration_tokens).inputs;
  for (const LevelPlan& level : plan.levels) text.levels.push_back(level.widths);
  text.carry = settings.rounding == "carry";
  return text;
}

}  // namespace elastify
