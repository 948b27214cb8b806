// From a prompt's word pieces to the rows of tokens that the encoder reads.
#pragma once

#include <optional>
#include <span>

#include "elrt/wordpiece.hpp"
#include "tlm/encoder.h"
#include "tlm/slo_tokens.h"

namespace elastify {

struct TlmRow {
  std::vector<std::int64_t> tokens;
  std::vector<std::int64_t> words;       // per token: the prompt's word, -1 for special tokens
  std::vector<std::int64_t> types = {};  // per token: its segment, 0 for special tokens; empty: all 0
};

// [CLS] [TTFT] <TPOT> pieces [SEP]; without the two SLO tokens where `slo` is none.
TlmRow make_row(const elrt::WordPiece& vocabulary, std::span<const elrt::WordPieceToken> pieces,
                const std::optional<SloIds>& slo);

// Rows padded to the longest with `pad_id`. Throws Error(kInternal) for no rows or an empty one.
TlmBatch make_batch(std::span<const TlmRow> rows, std::int64_t pad_id, torch::Device device);

}  // namespace elastify
