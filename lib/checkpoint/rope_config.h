// The rotary settings of a config.json, in the form that transformers 4 or 5 writes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace elastify {

class HfReader;

// How rotary frequencies are stretched for long contexts.
struct RopeScaling {
  enum class Kind { kNone, kLinear, kLlama3, kLongRope };
  Kind kind = Kind::kNone;
  double factor = 1;
  double low_freq_factor = 1;                  // kLlama3
  double high_freq_factor = 4;                 // kLlama3
  std::int64_t original_max_positions = 8192;  // kLlama3, kLongRope
  // kLongRope (Ding et al. 2024): divisors of each pair's frequency in texts up to original_max_positions, and beyond.
  std::vector<double> short_factors{}, long_factors{};
  double magnitude = 1;  // kLongRope: of cosines and sines
  bool operator==(const RopeScaling&) const = default;
};

struct RopeConfig {
  double theta = 10000;
  RopeScaling scaling;
  double turned_share = 1;  // of a head's dimensions
  double local_theta = 0;   // of layers with sliding attention, where the settings are by layer type; 0: they are not
};

// What a family's configuration may say besides.
struct RopeRules {
  // Gemma 3: rope_parameters may hold a set for full_attention and one for sliding_attention, whose base is
  // rope_local_base_freq in transformers 4.
  bool by_layer_type = false;
  bool phi = false;  // Phi-3: partial_rotary_factor, and longrope
};

// Reads rope_theta with rope_scaling (transformers 4) or rope_parameters (5), which gathers all of them; both may stand
// there if they say the same. Throws Error(kBadData), naming the key, on what is missing, contradicts itself or is not
// supported: other kinds of scaling, keys that nothing here reads.
RopeConfig read_rope_config(const HfReader& reader, std::int64_t max_positions, const RopeRules& rules = {});

// The same settings as transformers 4 names them, into `document`.
struct ModelConfig;
void write_rope_config(const ModelConfig& config, nlohmann::json& document);

}  // namespace elastify
