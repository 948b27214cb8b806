// The tiny language model as a part of an artifact (layout: elrt/format.h, "tlm.").
#pragma once

#include <string>
#include <vector>

#include "base/files.h"
#include "pack/gguf_writer.h"
#include "tlm/choice_rule.h"
#include "tlm/dual_head.h"

namespace elastify {

struct PackedTlm {
  DualHead model;                       // float32 on the CPU
  std::vector<std::string> vocabulary;  // WordPiece, by id
  std::optional<ChoiceRule> rule;
};

// A trained model's folder: what read_dual_head() reads, vocab.txt, and, where there is one, the rule by which
// decisions are chosen (tlm/choice_rule.h). Throws Error(kBadData) where they are damaged or do not fit each other.
PackedTlm read_packed_tlm(const fs::path& folder);
// The files above, for hashing.
std::vector<fs::path> packed_tlm_files(const fs::path& folder);

// Raises the format version where the body asks for it.
void add_tlm_metadata(elrt::gguf::Metadata& metadata, const PackedTlm& tlm);

// Matrices and embeddings in f16, biases and norms in f32. make() throws Error(kBadData) where a value exceeds f16.
// They share memory with the model.
std::vector<WrittenTensor> tlm_tensors(const PackedTlm& tlm);

}  // namespace elastify
