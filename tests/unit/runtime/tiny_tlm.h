// A small random tiny language model for the artifact of a test.
#pragma once

#include <cstdint>

#include "support/gguf_builder.h"

namespace elastify_test {

enum class TinyBody { kMobileBert, kBert };

// Levels 20, 50, 100 and prompt levels 50, 100; words of the letters a to c have tokens of their own. Proposes the
// given decision whatever it reads; 0: as its random weights have it.
void add_tiny_tlm(GgufBuilder& file, std::uint32_t model_level = 0, std::uint32_t prompt_level = 0,
                  std::uint64_t seed = 1, TinyBody body = TinyBody::kMobileBert);

}  // namespace elastify_test
