#include "profile/score_store.h"

#include "base/error.h"
#include "data/hdf5_file.h"

namespace elastify {
namespace {

constexpr std::int64_t kVersion = 1;
constexpr const char* kGroups = "/importance/kv_groups";
constexpr const char* kNeurons = "/importance/neurons";
constexpr const char* kSensitivity = "/sensitivity/layers";
constexpr const char* kCheckedUnits = "/ablation/units";
constexpr const char* kCheckedChange = "/ablation/loss_change";

std::string score_units(const std::string& method) {
  if (method == "magnitude") return "L2 norm of the unit's weights";
  return method == "random" ? "none" : "nats per token";
}

torch::Tensor checked_table(const std::vector<UnitRef>& units) {
  torch::Tensor table = torch::zeros({static_cast<std::int64_t>(units.size()), 3}, torch::kInt64);
  auto rows = table.accessor<std::int64_t, 2>();
  for (std::size_t i = 0; i < units.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i);
    rows[row][0] = units[i].layer;
    rows[row][1] = units[i].kind == UnitKind::kGroup ? 0 : 1;
    rows[row][2] = units[i].index;
  }
  return table;
}

std::vector<UnitRef> checked_units(const std::string& path, const torch::Tensor& table, const ModelConfig& config) {
  std::vector<UnitRef> units;
  const auto rows = table.accessor<std::int64_t, 2>();
  for (std::int64_t row = 0; row < table.size(0); ++row) {
    const std::int64_t layer = rows[row][0], kind = rows[row][1], index = rows[row][2];
    const std::int64_t count = kind == 0 ? config.num_kv_heads : config.intermediate_size;
    if (layer < 0 || layer >= config.num_layers || kind < 0 || kind > 1 || index < 0 || index >= count) {
      fail_data("{}: {} names unit {} of kind {} in layer {}, which the model does not have", path, kCheckedUnits,
                index, kind, layer);
    }
    units.push_back({layer, kind == 0 ? UnitKind::kGroup : UnitKind::kNeuron, index});
  }
  return units;
}

}  // namespace

torch::Tensor layer_sensitivities(const UnitScores& scores) {
  return torch::stack({scores.groups.sum(1), scores.groups.amax(1), scores.neurons.sum(1), scores.neurons.amax(1)}, 1);
}

void save_profile(const fs::path& path, const Profile& profile) {
  const std::string units = score_units(profile.method);
  Hdf5Writer writer;
  writer.attribute("format_version", kVersion);
  writer.attribute("method", profile.method);
  writer.attribute("tokens", profile.tokens);
  writer.attribute("seed", static_cast<std::int64_t>(profile.seed));
  writer.attribute("mean_loss", profile.mean_loss);
  writer.attribute("source_hash", profile.source_hash);
  writer.attribute("tool_version", profile.tool_version);
  writer.dataset(kGroups, profile.scores.groups, {{"units", units}, {"shape", "[layers, kv_groups]"}});
  writer.dataset(kNeurons, profile.scores.neurons, {{"units", units}, {"shape", "[layers, neurons]"}});
  writer.dataset(kSensitivity, layer_sensitivities(profile.scores),
                 {{"units", units},
                  {"shape", "[layers, 4]"},
                  {"columns", "kv_groups sum, kv_groups max, neurons sum, neurons max"}});
  if (!profile.checked.empty()) {
    writer.attribute("checked_tokens", profile.checked_tokens);
    writer.dataset(
        kCheckedUnits, checked_table(profile.checked),
        {{"units", "index"}, {"shape", "[checked, 3]"}, {"columns", "layer, kind (0 KV group, 1 neuron), index"}});
    writer.dataset(kCheckedChange, torch::tensor(profile.checked_change, torch::kFloat64),
                   {{"units", "nats per token"}, {"shape", "[checked]"}});
  }
  writer.save(path);
}

Profile load_profile(const fs::path& path, const ModelConfig& config) {
  const Hdf5Reader reader(path);
  const std::int64_t version = reader.integer("format_version");
  if (version != kVersion)
    fail_data("{} has format version {}, expected {}; run the profile stage again", path.string(), version, kVersion);
  Profile profile;
  profile.method = reader.text("method");
  profile.tokens = reader.integer("tokens");
  profile.seed = static_cast<std::uint64_t>(reader.integer("seed"));
  profile.mean_loss = reader.number("mean_loss");
  profile.source_hash = reader.text("source_hash");
  profile.tool_version = reader.text("tool_version");
  profile.scores.groups = reader.floats(kGroups, {config.num_layers, config.num_kv_heads});
  profile.scores.neurons = reader.floats(kNeurons, {config.num_layers, config.intermediate_size});
  if (!reader.has(kCheckedUnits)) return profile;
  profile.checked_tokens = reader.integer("checked_tokens");
  profile.checked = checked_units(path.string(), reader.integers(kCheckedUnits, {-1, 3}), config);
  const auto count = static_cast<std::int64_t>(profile.checked.size());
  const torch::Tensor change = reader.floats(kCheckedChange, {count});
  profile.checked_change.assign(change.data_ptr<double>(), change.data_ptr<double>() + count);
  return profile;
}

}  // namespace elastify
