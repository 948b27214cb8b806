#include "tlm/tlm_checkpoint.h"

#include <set>

#include "base/error.h"

namespace elastify {
namespace {

const std::string kHeadPrefix = "cls.predictions.";

// Checkpoints of the bare encoder leave out the name of the model.
std::string body_prefix(const StoredTensors& stored) {
  const std::string word = "embeddings.word_embeddings.weight";
  return stored.count("mobilebert." + word) == 0 && stored.count(word) != 0 ? "" : "mobilebert.";
}

// What checkpoints hold next to the body: buffers, the tied decoder, and heads of other tasks.
bool is_left_out(const std::string& name, const std::string& prefix) {
  for (const std::string& known : {prefix + "pooler.", prefix + "embeddings.position_ids", std::string("cls."),
                                   std::string("classifier."), std::string("qa_outputs.")}) {
    if (name.rfind(known, 0) == 0) return true;
  }
  return false;
}

void refuse_unknown(const StoredTensors& stored, const std::vector<TlmSlot>& slots, const std::string& prefix,
                    const std::string& source) {
  std::set<std::string> wanted;
  for (const auto& slot : slots) wanted.insert(slot.name);
  for (const auto& [name, tensor] : stored) {
    if (wanted.count(name) == 0 && !is_left_out(name, prefix)) {
      fail_data("{}: tensor {} is not part of a MobileBERT as config.json describes it", source, name);
    }
  }
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
  const StoredTensors stored = open_safetensors(weights_path);
  const std::string prefix = body_prefix(stored);
  std::vector<TlmSlot> slots = body_slots(checkpoint.body, prefix);
  if (has_masked_word_head(stored)) {
    for (auto& slot : masked_word_slots(checkpoint.masked_words, checkpoint.body.config, kHeadPrefix,
                                        stored.count(kHeadPrefix + "dense.weight") != 0)) {
      slots.push_back(std::move(slot));
    }
  }
  refuse_unknown(stored, slots, prefix, weights_path.string());
  fill_slots(slots, stored, weights_path.string(), device, dtype);
  return checkpoint;
}

void write_tlm_checkpoint(const TlmBody& body, const MaskedWordHead& masked_words, const fs::path& directory) {
  TlmBody copy = body;  // slots point to tensors that may change; these are only read
  MaskedWordHead head = masked_words;
  std::vector<TlmSlot> slots = body_slots(copy, "mobilebert.");
  if (head.defined()) {
    for (auto& slot : masked_word_slots(head, copy.config, kHeadPrefix, head.rest.defined()))
      slots.push_back(std::move(slot));
  }
  write_safetensors(directory / "model.safetensors", stored_slots(slots), {{"format", "pt"}});
  write_json(directory / "config.json", tlm_config_to_hf(body.config));
}

}  // namespace elastify
