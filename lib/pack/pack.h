// Packs a reordered checkpoint, its plan, adapters and tokenizer into one artifact (layout: elrt/format.h).
#pragma once

#include <elrt/tokenizer.hpp>

#include <map>
#include <optional>
#include <string>

#include "checkpoint/checkpoint.h"
#include "model/shared_adapter.h"
#include "pack/pack_tlm.h"
#include "quantise/guide_pass.h"
#include "reorder/plan.h"

namespace elastify {

struct PackConfig {
  std::string dtype = "f32";             // of the blocks' matrices: f32, f16, bf16, q8_0 (8 bits), iq4_nl or q4_0 (4)
  std::string embedding_dtype = "auto";  // same: as dtype; auto: too, but q8_0 where dtype has four bits
  std::string head_dtype = "auto";
  // Matrices of every block, by the names of adapters' targets without "_proj", that are q8_0 where dtype has four
  // bits: those that lose the most per byte.
  std::vector<std::string> wider;
  // Of quantised matrices of the blocks. carry: what rounding a weight changes is made good by the weights after it,
  // as far as the calibration text's activations let them (quantise/matrix_guide.h); scale: only scales are chosen by
  // these activations.
  std::string rounding = "carry";
  std::int64_t calibration_tokens = 8192;  // 0: rounding knows nothing of activations
  // Of adapters' matrices. auto: q8_0 where dtype is quantised, f16 elsewhere. A matrix that q8_0 would not make
  // smaller, the first one of up to 8 ranks, stays f16.
  std::string adapter_dtype = "auto";
  bool adapters = true;  // false: levels as they were cut, and no need for the finetune stage
  std::string tlm;  // folder of a trained tiny language model, which rides in the artifact; empty: the run's own, where
                    // it has one

  template <typename V>
  void visit(V& v) {
    v.choice("dtype", dtype, {"f32", "f16", "bf16", "q8_0", "iq4_nl", "q4_0"}, "of the blocks' matrices");
    v.choice("embedding_dtype", embedding_dtype, {"auto", "same", "f32", "f16", "bf16", "q8_0", "iq4_nl", "q4_0"},
             "same: as dtype; auto: too, but q8_0 where dtype has four bits");
    v.choice("head_dtype", head_dtype, {"auto", "same", "f32", "f16", "bf16", "q8_0", "iq4_nl", "q4_0"},
             "same: as dtype; auto: too, but q8_0 where dtype has four bits");
    v.texts("wider", wider,
            "matrices of every block that are q8_0 where dtype has four bits: of q, k, v, o, gate, up and down");
    v.choice("rounding", rounding, {"carry", "scale"},
             "of the blocks' quantised matrices: carry: what rounding a weight changes is made good by those after it; "
             "scale: each goes to its nearest, and only scales are chosen by the calibration text");
    v.integer("calibration_tokens", calibration_tokens, 0, std::int64_t{1} << 40,
              "calibration text that quantising looks at; 0: none, every input counts the same");
    v.choice("adapter_dtype", adapter_dtype, {"auto", "f16", "q8_0"},
             "of adapters; auto: q8_0 where dtype is q8_0 or has four bits, else f16. First matrices of up to 8 ranks "
             "would not be smaller in q8_0 and stay f16");
    v.flag("adapters", adapters, "false: levels as they were cut, without the finetune stage");
    v.text(
        "tlm", tlm,
        "folder of a trained tiny language model, which rides in the artifact; empty: the run's own, where it has one");
  }
};

// Held-out losses around recovery, nats per token; NaN where not measured.
struct LevelLosses {
  double before = 0, after = 0;
};

struct PackInputs {
  const Checkpoint& reordered;
  const ElasticPlan& plan;
  const elrt::TokenizerSpec& tokenizer;
  std::map<std::int64_t, Adapter> adapters;    // by level; CPU
  std::map<std::int64_t, LevelLosses> losses;  // by level
  std::string name;                            // of the model, for people
  std::map<std::string, std::string> sources;  // "checkpoint" -> hash, ... stored as elastic.source.*
  const PackedTlm* tlm = nullptr;              // none
  // Of levels without one in `adapters`.
  std::optional<SharedAdapter> shared_adapter = std::nullopt;
  const RoundingText* rounding = nullptr;  // nothing guides the rounding of the blocks' matrices
};

// Of an adapter's first (rank x inputs) and second (outputs x rank) matrices.
struct AdapterTypes {
  elrt::TensorType a, b;
};
AdapterTypes adapter_types(const PackConfig& settings, std::int64_t rank);

// Does a matrix of the blocks become quantised, and shall text guide how?
bool wants_rounding_text(const PackConfig& settings);

// By tensor name, RMS of what quantising changed over the RMS of the weights; empty where nothing was quantised.
using QuantisationErrors = std::map<std::string, double>;

// Streams: one tensor is in memory at a time. bf16 keeps weights that are bfloat16 bit for bit, and rounds others to
// nearest, ties to even. Throws Error(kBadData) where weights are NaN, infinite or too large for f16 or bf16, where an
// adapter does not fit its level or a level has two, and where checkpoint and tokenizer have different vocabularies.
QuantisationErrors write_artifact(const fs::path& path, const PackInputs& inputs, const PackConfig& settings);

}  // namespace elastify
