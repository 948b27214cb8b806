// One level of a run directory or of an artifact, tensor by tensor, in checkpoints' names and shapes.
#pragma once

#include <elrt/tokenizer.hpp>

#include <memory>
#include <optional>
#include <string>

#include "base/files.h"
#include "model/adapter.h"

namespace elastify {

struct LevelFacts {
  fs::path path;  // of the run directory or the artifact
  std::string name;
  bool artifact = false;
  std::string dtype;   // of the blocks' matrices: f32, f16, bf16, q8_0, iq4_nl or q4_0
  ModelConfig config;  // of the full model
  std::int64_t level = 100;
  LevelWidths widths;
  torch::Tensor rope_factors;      // [head_dim / 2] float32, see rope_factors.h; undefined: none
  std::optional<Adapter> adapter;  // cut to the widths, float32; none: the level runs as it was cut
  elrt::TokenizerSpec tokenizer;
  fs::path tokenizer_files;   // the folder of the tokenizer as its owner had it; empty: only the spec is known
  std::string chat_template;  // empty: none
};

class LevelSource {
 public:
  virtual ~LevelSource() = default;

  const LevelFacts& facts() const { return facts_; }
  // The embedding, the final norm or the head, by kEmbeddingName and so on; float32, checked to be finite.
  virtual torch::Tensor model_tensor(const std::string& name) const = 0;
  // The level's part of a tensor of the blocks, without the adapter; float32, finite. Empty where the level keeps none
  // of its units.
  virtual torch::Tensor block_tensor(std::int64_t layer, const BlockTensor& part) const = 0;

 protected:
  LevelFacts facts_;
};

// `path`: a run directory (reordered/, plan.json and, where finetune has run, adapters/), or an artifact. Throws
// Error(kUsage) for a level that is not there, Error(kBadData) for what is neither, damaged or not supported.
std::unique_ptr<LevelSource> open_level(const fs::path& path, std::int64_t level);

// The two kinds of it.
std::unique_ptr<LevelSource> open_run_level(const fs::path& run_directory, std::int64_t level);
std::unique_ptr<LevelSource> open_artifact_level(const fs::path& artifact, std::int64_t level);

}  // namespace elastify
