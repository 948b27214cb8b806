#include "pipeline/stage_table.h"

#include <elrt/format.h>

#include "base/error.h"
#include "base/hash.h"
#include "model/device.h"
#include "model/matrix_product.h"
#include "pipeline/stage_work.h"
#include "pipeline/stages.h"
#include "pipeline/text_source.h"
#include "quantise/quantise.h"

namespace elastify {
namespace {

bool always(const PipelineConfig&) { return true; }
bool with_anchors(const PipelineConfig& config) { return config.reorder.kind != "measured"; }
bool with_tasks(const PipelineConfig& config) { return config.label.wanted(); }

void add_files(StageInputs& inputs, const char* key, const std::vector<std::string>& paths) {
  for (const auto& path : paths) inputs.paths.push_back({key, path, {}});
}
void add_file(StageInputs& inputs, const char* key, const std::string& path) {
  if (!path.empty()) inputs.paths.push_back({key, path, {}});
}

StageInputs sample_inputs(const PipelineConfig&) {
  StageInputs inputs;
  inputs.checkpoint = inputs.compute = true;
  return inputs;
}

// What "auto" or a name stands for on this machine and model.
json products_key(const PipelineConfig& config, const std::string& products) {
  const std::int64_t hidden = Checkpoint::open(config.checkpoint).config().hidden_size;
  return product_type_name(parse_product_type(products, parse_device(config.device), hidden));
}

StageInputs calibrated_inputs(const PipelineConfig& config, const std::string& products) {
  StageInputs inputs;
  inputs.checkpoint = inputs.compute = inputs.text = true;
  inputs.more["products"] = products_key(config, products);
  return inputs;
}
StageInputs profile_inputs(const PipelineConfig& config) { return calibrated_inputs(config, config.profile.products); }
StageInputs anchors_inputs(const PipelineConfig& config) { return calibrated_inputs(config, config.anchors.products); }

StageInputs reorder_inputs(const PipelineConfig& config) {
  StageInputs inputs;
  inputs.checkpoint = true;
  inputs.stages = {"profile"};
  if (with_anchors(config)) inputs.stages.push_back("anchors");
  if (with_anchors(config) && config.reorder.anchors_judged_at == 0) return inputs;
  inputs.text = inputs.compute = true;
  inputs.more = {{"seq", config.profile.seq}, {"products", products_key(config, config.reorder.measured.products)}};
  if (config.reorder.measured.per == "latency") inputs.more["dtype"] = config.pack.dtype;
  return inputs;
}

StageInputs finetune_inputs(const PipelineConfig& config) {
  StageInputs inputs;
  inputs.compute = inputs.text = true;
  inputs.stages = {"reorder"};
  inputs.more["products"] = products_key(config, config.finetune.products);
  if (elrt::is_quantised(type_of(config.finetune.base_dtype)))
    inputs.more["rounding"] = {
        {"kind", config.pack.rounding}, {"tokens", config.pack.calibration_tokens}, {"wider", config.pack.wider}};
  return inputs;
}

StageInputs pack_base_inputs(const PipelineConfig& config) {
  StageInputs inputs;
  inputs.checkpoint = true;
  inputs.stages = {"reorder"};
  if (config.pack.adapters) inputs.stages.push_back("finetune");
  inputs.more["format"] = elrt::format::kFamilyFormatVersion;  // tlm.body's files ask for more
  if (const std::string text = chat_template_of(config); !text.empty()) inputs.more["chat_template"] = hash_text(text);
  inputs.compute = inputs.text = wants_rounding_text(config.pack);
  return inputs;
}

StageInputs pack_inputs(const PipelineConfig& config) {
  StageInputs inputs = pack_base_inputs(config);
  if (!config.pack.tlm.empty())
    inputs.paths.push_back(
        {"pack.tlm", config.pack.tlm, {"config.json", "model.safetensors", "vocab.txt", "?accuracy.json"}});
  else if (config.label.wanted())
    inputs.stages.push_back("train-tlm");
  return inputs;
}

// Labels stand on the base artifact and the score-head, the decision-head on labels and a latency table.
StageInputs train_score_inputs(const PipelineConfig& config) {
  StageInputs inputs;
  inputs.compute = true;
  inputs.stages = {"pack-base"};
  add_files(inputs, "label.train", config.label.train);
  add_files(inputs, "tlm.pairs", config.tlm.pairs);
  add_files(inputs, "tlm.questions", config.tlm.questions);
  const TlmSettings& model = config.tlm.model;
  add_file(inputs, "tlm.vocabulary", model.vocabulary);
  if (!model.body.empty()) {
    inputs.paths.push_back(
        {"tlm.body",
         model.body,
         {"config.json", "model.safetensors", "?vocab.txt", "?tokenizer.json", "?tokenizer_config.json"}});
  }
  return inputs;
}

StageInputs label_inputs(const PipelineConfig& config) {
  StageInputs inputs;
  inputs.compute = true;
  inputs.stages = {"pack-base", "train-score"};
  add_files(inputs, "label.train", config.label.train);
  add_files(inputs, "label.validation", config.label.validation);
  add_files(inputs, "label.test", config.label.test);
  return inputs;
}

StageInputs train_tlm_inputs(const PipelineConfig& config) {
  StageInputs inputs = label_inputs(config);
  inputs.stages.push_back("label");
  add_file(inputs, "tlm.latency_table", config.tlm.latency_table);
  return inputs;
}

StageInputs compare_inputs(const PipelineConfig& config) {
  StageInputs inputs = train_tlm_inputs(config);
  inputs.stages.push_back("train-tlm");
  return inputs;
}

constexpr const char* kNeedsTasks = "tasks: set label.train";
const std::vector<std::string> kScoreSettings = {"tlm",
                                                 "-tlm.decision",
                                                 "-tlm.decisions",
                                                 "-tlm.latency_table",
                                                 "label",
                                                 "-label.train_items",
                                                 "-label.validation_items",
                                                 "-label.test_items",
                                                 "-label.repeats",
                                                 "-label.chunk_tasks",
                                                 "-label.ranking",
                                                 "-label.validation",
                                                 "-label.test"};

std::vector<Stage> make_table() {
  return {
      {"sample",
       "draw text from the model itself, where no recovery text is given -> sampled.safetensors",
       {kSampledFile},
       {"data.sample_documents", "data.sample_tokens", "data.sample_temperature"},
       sample_inputs,
       run_sample,
       describe_sample,
       [](const PipelineConfig& config) { return needs_sampling(config.data); },
       nullptr,
       sample_work},
      {"profile",
       "importance of every KV group and MLP neuron -> profile.h5",
       {"profile.h5"},
       {"profile"},
       profile_inputs,
       run_profile,
       describe_profile,
       always,
       nullptr,
       profile_work},
      {"anchors",
       "loss with each layer removed -> anchors.json",
       {"anchors.json"},
       {"anchors", "profile.seq"},
       anchors_inputs,
       run_anchors,
       describe_anchors,
       with_anchors,
       nullptr,
       anchors_work},
      {"reorder",
       "sort units by importance, plan the levels -> reordered/, plan.json",
       {"reordered", "plan.json"},
       {"reorder"},
       reorder_inputs,
       run_reorder,
       describe_reorder,
       always,
       nullptr,
       reorder_work},
      {"finetune",
       "recover every level with an adapter -> adapters/, finetune.json",
       {"adapters", "finetune.json"},
       {"finetune"},
       finetune_inputs,
       run_finetune,
       describe_finetune,
       [](const PipelineConfig& config) { return config.pack.adapters; },
       nullptr,
       finetune_work},
      {"pack-base",
       "the language model alone, which labels are made with -> base.gguf",
       {kBaseArtifact},
       {"pack"},
       pack_base_inputs,
       run_pack_base,
       describe_pack,
       with_tasks,
       nullptr,
       pack_work},
      {"train-score",
       "the tiny language model's body and score-head, from the model's own behaviour or pairs of texts -> score/",
       {"score"},
       kScoreSettings,
       train_score_inputs,
       run_train_score,
       describe_train_score,
       with_tasks,
       kNeedsTasks,
       train_score_work},
      {"label",
       "every labelled task at every model level and prompt level, once -> labels.h5",
       {"labels.h5"},
       {"label", "-label.repeats"},  // the comparison's alone
       label_inputs,
       run_label,
       describe_label,
       with_tasks,
       kNeedsTasks,
       label_work},
      {"train-tlm",
       "the decision-head, for a latency table -> tlm/",
       {"tlm", kLatencyFile},
       {"label", "tlm", "-label.repeats"},
       train_tlm_inputs,
       run_train_tlm,
       describe_train_tlm,
       with_tasks,
       kNeedsTasks,
       train_tlm_work},
      {"compare",
       "decisions and compression on held-out tasks -> comparison.json, charts",
       {"comparison.json"},
       {"label", "tlm"},
       compare_inputs,
       run_compare,
       describe_compare,
       [](const PipelineConfig& config) {
         return config.label.wanted() && !config.label.test.empty() && !config.label.validation.empty();
       },
       kNeedsTasks,
       compare_work},
      {"pack",
       "one file with all levels -> model.gguf",
       {kArtifact},
       {"pack"},
       pack_inputs,
       run_pack,
       describe_pack,
       always,
       nullptr,
       pack_work},
  };
}

}  // namespace

const std::vector<Stage>& stage_table() {
  static const std::vector<Stage> table = make_table();
  return table;
}

const Stage& find_stage(const std::string& name) {
  for (const Stage& stage : stage_table()) {
    if (name == stage.name) return stage;
  }
  throw Error(ErrorCode::kInternal, "there is no stage " + name);
}

std::vector<const Stage*> wanted_stages(const PipelineConfig& config) {
  std::vector<const Stage*> wanted;
  for (const Stage& stage : stage_table()) {
    if (stage.wanted(config)) wanted.push_back(&stage);
  }
  return wanted;
}

}  // namespace elastify
