// The rotary settings of a config.json, in the form that transformers 4 or 5 writes.
#pragma once

#include <cstdint>
#include <string>

namespace elastify {

class HfReader;

// How rotary frequencies are stretched for long contexts.
struct RopeScaling {
  enum class Kind { kNone, kLinear, kLlama3 };
  Kind kind = Kind::kNone;
  double factor = 1;
  double low_freq_factor = 1;                  // kLlama3
  double high_freq_factor = 4;                 // kLlama3
  std::int64_t original_max_positions = 8192;  // kLlama3
  bool operator==(const RopeScaling&) const = default;
};

struct RopeConfig {
  double theta = 10000;
  RopeScaling scaling;
};

// Reads rope_theta with rope_scaling (transformers 4) or rope_parameters (5), which gathers all of them; both may stand
// there if they say the same. Throws Error(kBadData), naming the key, on what is missing, contradicts itself or is not
// supported: other kinds of scaling, settings by layer type, rotation of a part of the head, keys that nothing here
// reads.
RopeConfig read_rope_config(const HfReader& reader, std::int64_t max_positions);

}  // namespace elastify
