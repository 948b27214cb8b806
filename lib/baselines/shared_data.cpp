#include "baselines/shared_data.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/interrupt.h"
#include "baselines/recover.h"
#include "finetune/student.h"
#include "model/device.h"
#include "pipeline/stage_parts.h"
#include "pipeline/text_source.h"

namespace elastify {
namespace {

constexpr std::int64_t kGateTokens = 8192;  // of held-out text, at most
constexpr std::int64_t kLossTokens = 1024;  // read at once where losses are measured

json shared_key(RunDirectory& run, const PipelineConfig& config, const Checkpoint& checkpoint) {
  json key = {{"version", tool_version()},
              {"seed", config.seed},
              {"device", config.device},
              {"text", text_hash(run, config)},
              {"neuron_multiple", config.reorder.neuron_multiple}};
  for (const auto& file : checkpoint.files()) key["checkpoint"].push_back(run.content_hash(file));
  for (const auto& file : tokenizer_files(tokenizer_path(config, checkpoint)))
    key["tokenizer"].push_back(run.content_hash(file));
  return key;
}

// Documents that stand in a text that is measured are neither trained nor calibrated on.
void drop_documents(std::vector<TokenDocument>& documents, const std::vector<TokenDocument>& measured) {
  std::set<std::vector<std::int64_t>> known;
  for (const TokenDocument& document : measured) known.insert(document.ids);
  std::erase_if(documents, [&](const TokenDocument& document) { return known.count(document.ids) != 0; });
  if (documents.empty()) fail_usage("--text: every document of the training text is measured on: give other files");
}

}  // namespace

SharedData::SharedData(const PipelineConfig& settings, const fs::path& run_dir, const BaselinesRequest& asked)
    : config(settings),
      request(asked),
      run(run_dir),
      device(parse_device(settings.device)),
      checkpoint(Checkpoint::open(settings.checkpoint)),
      spec(load_tokenizer_spec(settings, checkpoint)),
      tokenizer(load_tokenizer(settings, checkpoint)),
      full(load_weights(checkpoint, device, torch::kFloat32)),
      finetune(shared_settings(settings.finetune, checkpoint.config().max_positions, asked.tokens)),
      key(shared_key(run, settings, checkpoint)) {
  run.claim(kBaselinesFolder, {kBaselinesFolder});
  TextSets text = load_text(run, config, tokenizer);
  std::vector<TokenDocument> measured;
  texts = read_named_texts(request.texts, tokenizer, finetune.seq, request.text_tokens, measured);
  drop_documents(text.train, measured);
  drop_documents(text.calibration, measured);
  const std::int64_t context = checkpoint.config().max_positions;
  calibration = predicting_rows(text.calibration, std::min(config.profile.seq, context), config.profile.tokens,
                                seed() + 1, config.data.pack);
  key["calibration_rows"] = rows_hash(calibration);
  // With a budget, no more text than that: all levels then read the same rows, and the teacher no others.
  train = make_rows(config.data, text.train, finetune.seq, request.tokens, seed() + 2);
  // What decides whether an adapter is kept; losses are measured on the texts.
  const std::int64_t asked_tokens = finetune.held_out_tokens > 0 ? finetune.held_out_tokens : kGateTokens;
  held_out = make_rows(config.data, text.held_out, finetune.seq, std::min(asked_tokens, kGateTokens), 0);
  if (texts.empty()) texts.push_back(named_text("held_out", held_out));
  tasks = read_task_set(request.tasks, request.limit, tokenizer, static_cast<std::size_t>(context));
}

json text_hashes(const std::vector<NamedText>& texts) {
  json hashes = json::object();
  for (const NamedText& text : texts) hashes[text.name] = text.hash;
  return hashes;
}

std::int64_t token_count(const std::vector<NamedText>& texts) {
  std::int64_t count = 0;
  for (const NamedText& text : texts) count += text.rows.inputs.numel();
  return count;
}

double loss_on(const TokenRows& rows, const MeasuredModel& model, const FinetuneConfig& config) {
  if (model.tap) return text_loss(Decoder(slice_weights(model.weights, model.widths)), model.adapter, model.tap, rows);
  const StatesAndHead level = level_states(model.weights, model.widths, model.adapter, config, rows.seq());
  return row_losses(level.states, level.head, rows, std::max<std::int64_t>(1, kLossTokens / rows.seq())).mean();
}

json losses_on(const std::vector<NamedText>& texts, const MeasuredModel& model, const FinetuneConfig& config) {
  json losses = json::object();
  for (const NamedText& text : texts) {
    losses[text.name] = loss_on(text.rows, model, config);
    stop_if_interrupted();
  }
  return losses;
}

}  // namespace elastify
