// A random checkpoint and settings that build it in seconds.
#pragma once

#include "pipeline/pipeline.h"
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include "support/expect_error.h"
#include "support/small_shape.h"
#include "support/temp_dir.h"

namespace elastify_test {

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
