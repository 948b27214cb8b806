// Roughly how many operations each stage takes, so that a build can tell how long it will still run. Only the
// proportions count; they are measured against the time that earlier stages took.
#pragma once

#include "checkpoint/model_config.h"
#include "pipeline/pipeline_config.h"

namespace elastify {

double sample_work(const PipelineConfig& config, const ModelConfig& model);
double profile_work(const PipelineConfig& config, const ModelConfig& model);
double anchors_work(const PipelineConfig& config, const ModelConfig& model);
double reorder_work(const PipelineConfig& config, const ModelConfig& model);
double finetune_work(const PipelineConfig& config, const ModelConfig& model);
double pack_work(const PipelineConfig& config, const ModelConfig& model);
double train_score_work(const PipelineConfig& config, const ModelConfig& model);
double label_work(const PipelineConfig& config, const ModelConfig& model);
double train_tlm_work(const PipelineConfig& config, const ModelConfig& model);
double compare_work(const PipelineConfig& config, const ModelConfig& model);

}  // namespace elastify
