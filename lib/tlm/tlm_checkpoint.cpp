#include "tlm/tlm_checkpoint.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/log.h"

namespace elastify {
namespace {

const std::string kHeadPrefix = "cls.predictions.";

// Checkpoints of the bare encoder leave out the name of the model.
std::string body_prefix(const StoredTensors& stored, const TlmConfig& config) {
  const std::string word = "embeddings.word_embeddings.weight";
  return stored.count(config.prefix() + word) == 0 && stored.count(word) != 0 ? "" : config.prefix();
}

// Norms have the names of the first BERT in many published checkpoints: gamma and beta, which transformers renames too.
StoredTensors with_present_names(StoredTensors stored) {
  StoredTensors renamed;
  for (auto& [name, tensor] : stored) {
    std::string present = name;
    for (const auto& [old, now] : {std::pair{".gamma", ".weight"}, std::pair{".beta", ".bias"}}) {
      if (name.ends_with(old)) present.replace(name.size() - std::string(old).size(), std::string::npos, now);
    }
    if (stored.count(present) != 0 && present != name) present = name;  // both: the old one is told as unknown
    renamed.emplace(present, std::move(tensor));
  }
  return renamed;
}

// Buffers, which say nothing that the shapes do not.
bool is_buffer(const std::string& name, const std::string& prefix) {
  return name == prefix + "embeddings.position_ids" || name == prefix + "embeddings.token_type_ids";
}

// "pooler.dense" of "pooler.dense.weight".
std::string module_of(const std::string& name) { return name.substr(0, name.rfind('.')); }

// Heads of other tasks and the pooler, which are left out. Of the body itself nothing may be left.
std::vector<std::string> modules_left_out(const StoredTensors& stored, const std::vector<TlmSlot>& slots,
                                          const TlmConfig& config, const std::string& prefix,
                                          const std::string& source) {
  std::set<std::string> wanted, left_out;
  for (const auto& slot : slots) wanted.insert(slot.name);
  for (const auto& [name, tensor] : stored) {
    if (wanted.count(name) != 0 || is_buffer(name, prefix)) continue;
    if (name.starts_with(prefix + "embeddings.") || name.starts_with(prefix + "encoder."))
      fail_data("{}: tensor {} is not part of a model of type {} as config.json describes it", source, name,
                config.type_name());
    left_out.insert(module_of(name));
  }
  return {left_out.begin(), left_out.end()};
}

void warn_of(const std::vector<std::string>& left_out, const std::string& source) {
  constexpr std::size_t kShown = 8;
  if (left_out.empty()) return;
  const std::size_t shown = std::min(left_out.size(), kShown);
  warn_once(fmt::format("{}: left out, because only the body is taken: {}{}", source,
                        fmt::join(left_out.begin(), left_out.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                        left_out.size() > shown ? fmt::format(" and {} more", left_out.size() - shown) : ""));
}

bool has_masked_word_head(const StoredTensors& stored) {
  const auto first = stored.lower_bound(kHeadPrefix);
  return first != stored.end() && first->first.rfind(kHeadPrefix, 0) == 0;
}

}  // namespace

void fill_slots(const std::vector<TlmSlot>& slots, const StoredTensors& stored, const std::string& source,
                torch::Device device, torch::ScalarType dtype) {
  torch::NoGradGuard no_grad;
  for (const auto& slot : slots) {
    const auto found = stored.find(slot.name);
    if (found == stored.end()) fail_data("{}: tensor {} is missing", source, slot.name);
    if (found->second.shape != slot.shape) {
      fail_data("{}: tensor {} has the wrong shape: expected [{}] by the configuration, found [{}]", source, slot.name,
                fmt::join(slot.shape, ", "), fmt::join(found->second.shape, ", "));
    }
    if (!torch::isFloatingType(found->second.dtype)) {
      fail_data("{}: tensor {} has dtype {}: expected F32, F16, BF16 or F64", source, slot.name,
                safetensors_dtype(found->second.dtype));
    }
    const torch::Tensor view = found->second.view();
    if (!torch::isfinite(view).all().item<bool>()) {
      fail_data(
          "{}: tensor {} holds NaN or infinite values: the checkpoint is damaged or was saved from a diverged run",
          source, slot.name);
    }
    *slot.tensor =
        view.to(device, dtype, /*non_blocking=*/false, /*copy=*/true);  // trained in place, never the mapped file
  }
}

std::map<std::string, torch::Tensor> stored_slots(const std::vector<TlmSlot>& slots) {
  std::map<std::string, torch::Tensor> tensors;
  for (const auto& slot : slots) tensors[slot.name] = slot.tensor->detach().to(torch::kCPU, torch::kFloat32);
  return tensors;
}

TlmCheckpoint read_tlm_checkpoint(const fs::path& directory, torch::Device device, torch::ScalarType dtype) {
  const fs::path config_path = directory / "config.json", weights_path = directory / "model.safetensors";
  TlmCheckpoint checkpoint;
  checkpoint.body.config = tlm_config_from_hf(read_json(config_path), config_path.string());
  if (!fs::exists(weights_path))
    fail_data("{}: expected model.safetensors next to config.json, found none", directory.string());
  const StoredTensors stored = with_present_names(open_safetensors(weights_path));
  const std::string prefix = body_prefix(stored, checkpoint.body.config);
  std::vector<TlmSlot> slots = body_slots(checkpoint.body, prefix);
  if (has_masked_word_head(stored)) {
    for (auto& slot : masked_word_slots(checkpoint.masked_words, checkpoint.body.config, kHeadPrefix,
                                        stored.count(kHeadPrefix + "dense.weight") != 0)) {
      slots.push_back(std::move(slot));
    }
  }
  checkpoint.left_out = modules_left_out(stored, slots, checkpoint.body.config, prefix, weights_path.string());
  fill_slots(slots, stored, weights_path.string(), device, dtype);
  warn_of(checkpoint.left_out, weights_path.string());
  return checkpoint;
}

void write_tlm_checkpoint(const TlmBody& body, const MaskedWordHead& masked_words, const fs::path& directory) {
  TlmBody copy = body;  // slots point to tensors that may change; these are only read
  MaskedWordHead head = masked_words;
  std::vector<TlmSlot> slots = body_slots(copy, copy.config.prefix());
  if (head.defined()) {
    for (auto& slot : masked_word_slots(head, copy.config, kHeadPrefix, head.rest.defined()))
      slots.push_back(std::move(slot));
  }
  write_safetensors(directory / "model.safetensors", stored_slots(slots), {{"format", "pt"}});
  write_json(directory / "config.json", tlm_config_to_hf(body.config));
}

}  // namespace elastify
