#include "tlm/dual_head_file.h"

#include <algorithm>
#include <set>

#include "base/config.h"
#include "base/error.h"
#include "tlm/tlm_checkpoint.h"

namespace elastify {
namespace {

constexpr const char* kModelType = "elastify-dual-head";

// Settings of a file are data, not a command line.
DualHeadConfig read_settings(const json& document, const std::string& source) {
  try {
    return read_config<DualHeadConfig>(document, source);
  } catch (const Error& error) {
    throw Error(ErrorCode::kBadData, error.what());
  }
}

bool has_model_type(const json& document) {
  return document.is_object() && document.contains("model_type") && document["model_type"] == kModelType;
}

DualHead read_shape(const fs::path& path) {
  const json document = read_json(path);
  const std::string source = path.string();
  if (!has_model_type(document)) fail_data("{}: model_type must be {}", source, kModelType);
  for (const char* part : {"body", "heads"}) {
    if (!document.contains(part)) fail_data("{}: {} is missing", source, part);
  }
  DualHead model;
  model.body = tlm_config_from_hf(document["body"], source + " body");
  model.settings = read_settings(document["heads"], source + " heads");
  const DualHeadConfig& s = model.settings;
  if (s.bottom_layers < 1 || s.score_layers < 1 || s.decision_layers < 1 ||
      model.body.num_layers != s.bottom_layers + std::max(s.score_layers, s.decision_layers)) {
    fail_data("{}: {} layers cannot be {} shared ones with {} and {} above them", source, model.body.num_layers,
              s.bottom_layers, s.score_layers, s.decision_layers);
  }
  if (s.model_levels.empty() || s.prompt_levels.empty())
    fail_data("{}: the heads need at least one model level and one prompt level", source);
  try {
    model.slo = SloTokens(model.body.vocab_size, s.ttft_levels, s.tpot_levels);
  } catch (const Error& error) {
    fail_data("{}: {}", source, error.what());
  }
  return model;
}

}  // namespace

bool is_dual_head(const fs::path& directory) {
  const fs::path path = directory / "config.json";
  return fs::exists(path) && has_model_type(read_json(path));
}

void write_dual_head(const DualHead& model, const fs::path& directory) {
  DualHead copy = model;  // slots point to tensors that may change; these are only read
  write_safetensors(directory / "model.safetensors", stored_slots(dual_head_slots(copy)), {{"format", "pt"}});
  write_json(
      directory / "config.json",
      {{"model_type", kModelType}, {"body", tlm_config_to_hf(model.body)}, {"heads", config_to_json(model.settings)}});
}

DualHead read_dual_head(const fs::path& directory, torch::Device device, torch::ScalarType dtype) {
  DualHead model = read_shape(directory / "config.json");
  const fs::path path = directory / "model.safetensors";
  const StoredTensors stored = open_safetensors(path);
  const auto slots = dual_head_slots(model);
  fill_slots(slots, stored, path.string(), device, dtype);
  std::set<std::string> known;
  for (const auto& slot : slots) known.insert(slot.name);
  for (const auto& [name, tensor] : stored) {
    if (known.count(name) == 0)
      fail_data("{}: tensor {} is not part of a dual-head model as config.json describes it", path.string(), name);
  }
  return model;
}

}  // namespace elastify
