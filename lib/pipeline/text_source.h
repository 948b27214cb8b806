// Which documents calibrate, train and evaluate, so that nothing held out is read by any other stage.
#pragma once

#include <elrt/tokenizer.hpp>

#include "checkpoint/checkpoint.h"
#include "pipeline/pipeline_config.h"
#include "pipeline/run_directory.h"
#include "pipeline/stage.h"

namespace elastify {

inline constexpr const char* kSampledFile = "sampled.safetensors";

// The tokenizer's file or folder: as configured, or next to the checkpoint.
fs::path tokenizer_path(const PipelineConfig& config, const Checkpoint& checkpoint);
// The files in it, or the file and those next to it, that make up a tokenizer, sorted. config.json is not among them.
std::vector<fs::path> tokenizer_files(const fs::path& path);
// Puts a copy of these files into `folder`. Of a model in GGUF only the tokenizer's keys, as kTokenizerGguf
// (tokenizer/import.h).
void keep_tokenizer(const fs::path& tokenizer, const fs::path& folder);
// Where a tokenizer is configured: the further files that say which tokens end a text (see import_tokenizer).
std::vector<fs::path> text_end_files(const PipelineConfig& config, const Checkpoint& checkpoint);

// The chat template: of the tokenizer that the settings name, else of the checkpoint. Empty: none.
std::string chat_template_of(const PipelineConfig& config);

// True where recovery text has to be sampled from the model.
bool needs_sampling(const DataConfig& data);

// The files that the three sets below are read from, each with its key of the settings.
std::vector<InputPath> text_paths(const DataConfig& data);

// Hash of everything that the three sets below depend on, the sampled documents included.
std::string text_hash(RunDirectory& run, const PipelineConfig& config);

struct TextSets {
  std::vector<TokenDocument> calibration, train, held_out;
};
// Recovery documents that also stand in the held-out set are dropped, also where files overlap.
TextSets load_text(RunDirectory& run, const PipelineConfig& config, const elrt::Tokenizer& tokenizer);

}  // namespace elastify
