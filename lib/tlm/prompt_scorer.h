// Word scores of whole prompts by a dual-head model, and its directory with the vocabulary.
#pragma once

#include <elrt/compression.hpp>
#include <elrt/wordpiece.hpp>

#include "base/files.h"
#include "tlm/dual_head.h"
#include "tlm/tlm_input.h"

namespace elastify {

// A model and the vocabulary whose pieces it reads: config.json, model.safetensors and vocab.txt in one directory.
struct Tlm {
  DualHead model;
  elrt::WordPiece vocabulary;
};
// Throws Error(kBadData) as read_dual_head() does, and where vocabulary and model have different sizes.
Tlm read_tlm(const fs::path& directory, torch::Device device);
void write_tlm(const DualHead& model, const std::string& vocabulary_text, const fs::path& directory);

elrt::WordPiece read_vocabulary(const fs::path& path);
// With the question marked, and found where none is given, as the runtime does. Throws Error(kUsage) for a text above
// WordPiece's limit.
elrt::WordPieces encode_words(const elrt::WordPiece& vocabulary, std::string_view text,
                              std::optional<elrt::TextSpan> question = {});

// Tokens of a text's own in one row: [CLS], two SLO tokens and [SEP] take the other positions.
inline constexpr std::int64_t kRowTokens = 4;
// Neighbouring chunks of a long text share so many tokens, so that no token stands at the edge of all chunks that hold
// it.
std::int64_t chunk_overlap(std::int64_t max_positions);
std::vector<elrt::TokenChunk> chunk_tokens(const elrt::WordPieces& pieces, std::int64_t max_positions);

// A word's keep probability in every text, one per WordPieces::words; 0 for a word without tokens. Both heads read the
// same shared states, so a prompt has its SLO's tokens in front: `slo` is the loosest one where nothing else is known.
// `batch_rows` rows at a time.
std::vector<std::vector<float>> score_words(const DualHead& model, const elrt::WordPiece& vocabulary,
                                            std::span<const elrt::WordPieces> texts, const SloIds& slo,
                                            std::int64_t batch_rows);

}  // namespace elastify
