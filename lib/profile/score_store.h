// profile.h5: what the profile stage found, readable by h5py and h5dump.
//
//   /importance/kv_groups      float64 [layers, kv_groups]   loss change when the unit is removed
//   /importance/neurons        float64 [layers, neurons]
//   /sensitivity/layers        float64 [layers, 4]           of each layer: sum and largest of its KV groups'
//   importance,
//                                                            sum and largest of its neurons'
//   /ablation/units            int64 [checked, 3]            layer, kind (0 KV group, 1 neuron), index; where a check
//   was made /ablation/loss_change      float64 [checked]             exact, of the same units
// Every dataset has the attributes units and shape; the file has format_version, method, tokens, seed, mean_loss,
// source_hash and tool_version, and checked_tokens where a check was made. No times: equal results give equal bytes.
#pragma once

#include <cstdint>
#include <string>

#include "base/files.h"
#include "profile/ablation.h"
#include "profile/importance.h"

namespace elastify {

struct Profile {
  UnitScores scores;
  std::string method;
  std::int64_t tokens = 0;  // predictions that the scores were measured on; 0 for magnitude and random
  std::uint64_t seed = 0;
  double mean_loss = 0;     // nats per token
  std::string source_hash;  // of the checkpoint
  std::string tool_version;
  std::vector<UnitRef> checked;        // units whose exact loss change is known
  std::vector<double> checked_change;  // nats per token
  std::int64_t checked_tokens = 0;
};

// [layers, 4] as in the file.
torch::Tensor layer_sensitivities(const UnitScores& scores);

// Atomic. Throws Error(kInternal) where it cannot be written.
void save_profile(const fs::path& path, const Profile& profile);
// Throws Error(kBadData) on a file that is missing, truncated, foreign, of another version, made for other dimensions
// than `config`'s, or that holds NaN or infinite values.
Profile load_profile(const fs::path& path, const ModelConfig& config);

}  // namespace elastify
