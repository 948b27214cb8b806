// A random checkpoint and settings that build it in seconds.
#pragma once

#include "checkpoint/random_checkpoint.h"
#include "pipeline/pipeline.h"
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace elastify_test {

inline elastify::ModelConfig small_shape() {
  return elastify::model_config_from_hf({{"model_type", "llama"},
                                         {"vocab_size", 260},
                                         {"hidden_size", 32},
                                         {"intermediate_size", 44},
                                         {"num_hidden_layers", 4},
                                         {"num_attention_heads", 8},
                                         {"num_key_value_heads", 4},
                                         {"max_position_embeddings", 64},
                                         {"rms_norm_eps", 1e-5},
                                         {"hidden_act", "silu"},
                                         {"tie_word_embeddings", true},
                                         {"torch_dtype", "float32"}},
                                        "shape");
}

struct Workplace {
  Workplace() {
    std::filesystem::create_directories(dir / "model");
    elastify::write_random_checkpoint(small_shape(), 1, dir / "model");
  }
  // configs/smoke.json on that checkpoint.
  elastify::PipelineConfig config(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), "checkpoint=" + (dir / "model").string());
    more.push_back("threads=1");
    return elastify::load_pipeline_config(ELASTIFY_SOURCE_DIR "/configs/smoke.json", more);
  }
  std::string run() const { return (dir / "run").string(); }
  TempDir dir;
};

}  // namespace elastify_test
