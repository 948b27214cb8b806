// MobileBERT and BERT checkpoints of Hugging Face: config.json and model.safetensors, with the names of transformers.
#pragma once

#include "base/files.h"
#include "checkpoint/safetensors.h"
#include "tlm/masked_words.h"

namespace elastify {

struct TlmCheckpoint {
  TlmBody body;
  MaskedWordHead masked_words;        // undefined where the checkpoint has none
  std::vector<std::string> left_out;  // modules that the checkpoint holds and nothing here reads: "pooler.dense", ...
};

// Reads `directory`. Names begin with "mobilebert." or "bert.", or, in checkpoints of the bare encoder, with nothing;
// norms may end in ".gamma" and ".beta". The pooler, the next-sentence classifier and other task heads are left out,
// which a warning says. F32, F16, BF16 or F64 becomes `dtype` on `device`. Throws Error(kBadData) naming the file and
// the tensor for a tensor that is missing, has the wrong shape, holds NaN or infinity, or lies in the body and is no
// part of it as config.json describes it.
TlmCheckpoint read_tlm_checkpoint(const fs::path& directory, torch::Device device, torch::ScalarType dtype);

// Writes config.json and model.safetensors (float32) into `directory`, which exists; reading them back gives equal
// values. transformers loads them as MobileBertForMaskedLM or BertForMaskedLM where `masked_words` has its `rest`.
void write_tlm_checkpoint(const TlmBody& body, const MaskedWordHead& masked_words, const fs::path& directory);

// For every kind of checkpoint: fills the slots from `stored`, which must have each with its shape and finite values;
// `source` names the file in errors.
void fill_slots(const std::vector<TlmSlot>& slots, const StoredTensors& stored, const std::string& source,
                torch::Device device, torch::ScalarType dtype);
// The slots' tensors as float32 on the CPU, by name.
std::map<std::string, torch::Tensor> stored_slots(const std::vector<TlmSlot>& slots);

}  // namespace elastify
