#include "tlm/prompt_scorer.h"

#include <algorithm>

#include "base/error.h"
#include "base/runtime_result.h"
#include "tlm/dual_head_file.h"
#include "tlm/train.h"

namespace elastify {

elrt::WordPiece read_vocabulary(const fs::path& path) {
  auto vocabulary = elrt::WordPiece::from_vocabulary_text(read_file(path));
  if (!vocabulary) fail_data("{}: {}", path.string(), vocabulary.failure().message);
  return std::move(vocabulary).value();
}

Tlm read_tlm(const fs::path& directory, torch::Device device) {
  Tlm tlm{read_dual_head(directory, device, torch::kFloat32), read_vocabulary(directory / "vocab.txt")};
  if (tlm.vocabulary.vocab_size() != tlm.model.body.vocab_size) {
    fail_data("{}: vocab.txt has {} tokens, the model {}", directory.string(), tlm.vocabulary.vocab_size(),
              tlm.model.body.vocab_size);
  }
  return tlm;
}

void write_tlm(const DualHead& model, const std::string& vocabulary_text, const fs::path& directory) {
  write_dual_head(model, directory);
  write_file(directory / "vocab.txt", vocabulary_text);
}

elrt::WordPieces encode_words(const elrt::WordPiece& vocabulary, std::string_view text,
                              std::optional<elrt::TextSpan> question) {
  elrt::WordPieces pieces = take(vocabulary.encode(text));
  vocabulary.mark_question(pieces, question ? *question : elrt::find_question(text, pieces.words));
  return pieces;
}

std::int64_t chunk_overlap(std::int64_t max_positions) { return (max_positions - kRowTokens) / 4; }

std::vector<elrt::TokenChunk> chunk_tokens(const elrt::WordPieces& pieces, std::int64_t max_positions) {
  return take(elrt::plan_chunks(pieces.tokens, static_cast<std::size_t>(max_positions - kRowTokens),
                                static_cast<std::size_t>(chunk_overlap(max_positions))));
}

namespace {

struct ChunkPlace {
  std::size_t text = 0, chunk = 0;
};

// The retain probabilities of the rows' own tokens, in the order of the rows.
std::vector<std::vector<float>> retain_probabilities(const DualHead& model, std::span<const TlmRow> rows) {
  const TlmBatch batch = make_batch(rows, model.body.pad_token_id, model.embeddings.word.device());
  const torch::Tensor retain = torch::softmax(score_logits(model, shared_states(model, batch), batch.mask), -1)
                                   .select(-1, 1)
                                   .to(torch::kCPU, torch::kFloat32)
                                   .contiguous();
  std::vector<std::vector<float>> all;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const float* first = retain.data_ptr<float>() + static_cast<std::int64_t>(r) * retain.size(1) + (kRowTokens - 1);
    all.emplace_back(first, first + (rows[r].tokens.size() - kRowTokens));
  }
  return all;
}

}  // namespace

std::vector<std::vector<float>> score_words(const DualHead& model, const elrt::WordPiece& vocabulary,
                                            std::span<const elrt::WordPieces> texts, const SloIds& slo,
                                            std::int64_t batch_rows) {
  torch::NoGradGuard no_grad;
  std::vector<std::vector<elrt::TokenChunk>> chunks;
  std::vector<ChunkPlace> places;
  for (std::size_t t = 0; t < texts.size(); ++t) {
    chunks.push_back(chunk_tokens(texts[t], model.body.max_positions));
    for (std::size_t c = 0; c < chunks[t].size(); ++c) places.push_back({t, c});
  }
  const auto size_of = [&](const ChunkPlace& p) { return chunks[p.text][p.chunk].end - chunks[p.text][p.chunk].begin; };
  std::stable_sort(places.begin(), places.end(), [&](const auto& a, const auto& b) { return size_of(a) < size_of(b); });
  std::vector<std::vector<std::vector<float>>> found(texts.size());
  for (std::size_t t = 0; t < texts.size(); ++t) found[t].resize(chunks[t].size());
  for (std::size_t begin = 0; begin < places.size(); begin += static_cast<std::size_t>(batch_rows)) {
    const std::size_t end = std::min(places.size(), begin + static_cast<std::size_t>(batch_rows));
    std::vector<TlmRow> rows;
    for (std::size_t i = begin; i < end; ++i) {
      const auto& chunk = chunks[places[i].text][places[i].chunk];
      rows.push_back(make_row(
          vocabulary, std::span(texts[places[i].text].tokens).subspan(chunk.begin, chunk.end - chunk.begin), slo));
    }
    auto scores = retain_probabilities(model, rows);
    for (std::size_t i = begin; i < end; ++i) found[places[i].text][places[i].chunk] = std::move(scores[i - begin]);
  }
  std::vector<std::vector<float>> result;
  for (std::size_t t = 0; t < texts.size(); ++t) {
    result.push_back(take(elrt::merge_word_scores(texts[t].tokens, texts[t].words.size(), chunks[t], found[t])));
  }
  return result;
}

}  // namespace elastify
