// A level from the files in which the stages meet: weights as the checkpoint has them, nothing rounded.
#include "base/error.h"
#include "export/level_source.h"
#include "export/rope_factors.h"
#include "finetune/level_result.h"
#include "model/shared_adapter.h"
#include "reorder/plan.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/import.h"

namespace elastify {
namespace {

using nlohmann::json;

// Of a level whose recovery was kept, as finetune.json says.
std::optional<Adapter> kept_adapter(const fs::path& run, std::int64_t level, const ModelConfig& config,
                                    const LevelWidths& widths) {
  const fs::path summary = run / "finetune.json";
  if (!fs::exists(summary)) return std::nullopt;
  const json document = read_json(summary);  // for as long as its entries are looked at
  try {
    for (const json& entry : document.at("levels")) {
      if (entry.at("level").get<std::int64_t>() != level || !entry.at("kept").get<bool>()) continue;
      if (!entry.value("shared", false))
        return load_adapter(level_directory(run / "adapters", level), config, torch::kCPU, torch::kFloat32);
      const fs::path folder = shared_adapter_directory(run / "adapters");
      const SharedAdapter shared = load_shared_adapter(folder, config, torch::kCPU, torch::kFloat32);
      if (!shared.scales.contains(level))
        fail_data("{} is not for level {}, whose recovery was kept; run finetune again", folder.string(), level);
      return cut_adapter(shared, level, config, widths);
    }
  } catch (const json::exception& error) {
    fail_data("{} is damaged: {}; run the finetune stage again", summary.string(), error.what());
  }
  return std::nullopt;
}

// The checkpoint that the run was made from; empty where the run does not say, or it is gone.
fs::path original_checkpoint(const fs::path& run) {
  const fs::path settings = run / "config.resolved.json";
  if (!fs::exists(settings)) return {};
  const json document = read_json(settings);
  const json path = document.is_object() ? document.value("checkpoint", json()) : json();
  std::error_code error;
  if (!path.is_string() || !fs::exists(path.get<std::string>(), error)) return {};
  const fs::path found = fs::absolute(path.get<std::string>()).lexically_normal();
  return found.has_filename() ? found : found.parent_path();
}

std::string short_dtype(const std::string& dtype) {
  if (dtype == "float16") return "f16";
  return dtype == "bfloat16" ? "bf16" : "f32";
}

class RunSource : public LevelSource {
 public:
  RunSource(const fs::path& run, std::int64_t level) : checkpoint_(Checkpoint::open(run / "reordered")) {
    const ModelConfig& config = checkpoint_.config();
    const ElasticPlan plan = load_plan(run / "plan.json", config);
    const fs::path original = original_checkpoint(run);
    facts_.path = run;
    facts_.name = (original.empty() ? output_name(run) : original.filename()).string();
    facts_.dtype = short_dtype(config.dtype);
    facts_.config = config;
    facts_.rope_factors = rope_factors(config);
    facts_.level = level;
    facts_.widths = plan.at(level).widths;
    facts_.adapter = kept_adapter(run, level, config, facts_.widths);
    facts_.tokenizer_files = checkpoint_.tokenizer_dir();
    facts_.tokenizer = import_tokenizer(facts_.tokenizer_files, config.vocab_size, facts_.tokenizer_files);
    facts_.chat_template = read_chat_template(facts_.tokenizer_files);
    if (facts_.chat_template.empty() && fs::is_directory(original)) facts_.chat_template = read_chat_template(original);
  }

  torch::Tensor model_tensor(const std::string& name) const override { return read(name); }

  torch::Tensor block_tensor(std::int64_t layer, const BlockTensor& part) const override {
    const auto index = static_cast<std::size_t>(layer);
    const BlockWidths widths =
        block_widths(facts_.config, facts_.widths.kv_groups[index], facts_.widths.neurons[index]);
    const std::string name = block_tensor_name(layer, part.name);
    if (part.unit() == Unit::kNone) return read(name);
    return read(name).narrow(part.unit_dimension(), 0, part.unit_extent(widths));
  }

 private:
  static fs::path output_name(const fs::path& run) {
    const fs::path whole = fs::absolute(run).lexically_normal();
    return whole.has_filename() ? whole.filename() : whole.parent_path().filename();
  }

  torch::Tensor read(const std::string& name) const {
    const torch::Tensor stored = checkpoint_.finite_tensor(name);
    if (stored.scalar_type() == torch::kFloat32) return stored;
    torch::Tensor converted = stored.to(torch::kFloat32);
    checkpoint_.release(name);
    return converted;
  }

  Checkpoint checkpoint_;
};

}  // namespace

std::unique_ptr<LevelSource> open_run_level(const fs::path& run_directory, std::int64_t level) {
  return std::make_unique<RunSource>(run_directory, level);
}

}  // namespace elastify
