#include "elrt/tlm.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/guarded.hpp"
#include "elrt/compression.hpp"
#include "model/model.hpp"
#include "tlm/tlm_forward.hpp"

namespace elrt {
namespace {

constexpr std::uint32_t kDiscard = 0, kRetain = 1, kScoreClasses = 2;

// Index of the highest level at or below `ratio`, or 0.
std::size_t level_index(const std::vector<std::uint32_t>& levels, double ratio) {
  constexpr double kRounding = 1e-9;  // 0.3 * 100 is a little below 30
  std::size_t index = 0;
  while (index + 1 < levels.size() && levels[index + 1] <= ratio * 100 + kRounding) ++index;
  return index;
}

Result<void> check_ratio(const char* name, double ratio) {
  if (ratio > 0) return {};
  return invalid_argument("the " + std::string(name) + " ratio of an SLO is " + std::to_string(ratio) +
                          ", expected above 0");
}

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
}

Failure not_finite() { return bad_data("the tiny language model computes NaN or infinity: train and pack it again"); }

std::uint32_t most_probable(const std::vector<std::uint32_t>& levels, const std::vector<float>& logits) {
  return levels[static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin())];
}

}  // namespace

std::vector<WordPieceToken> decision_pieces(std::span<const WordPieceToken> pieces, std::size_t room) {
  if (pieces.size() <= room) return {pieces.begin(), pieces.end()};
  const auto head = pieces.first((room + 1) / 2), tail = pieces.last(room / 2);
  std::vector<WordPieceToken> kept(head.begin(), head.end());
  kept.insert(kept.end(), tail.begin(), tail.end());
  return kept;
}

struct Tlm::Impl {
  std::shared_ptr<const Model> owner;  // of the weights
  const TlmModel& model;
  std::shared_ptr<const WordPiece> wordpiece;
  ThreadPool pool;
  TlmForward pass;
  TlmRow row;                  // that `shared` belongs to; empty: none
  Activations shared, states;  // after the bottom layers; of the head that runs

  Impl(std::shared_ptr<const Model> m, std::shared_ptr<const WordPiece> vocabulary, std::uint32_t threads)
      : owner(std::move(m)), model(*owner->tlm), wordpiece(std::move(vocabulary)), pool(threads), pass(model, pool) {}

  std::size_t room() const { return model.shape.positions - kTlmSpecialTokens; }
  Result<void> check(const WordPieces& prompt, SloRatios slo) const;
  TlmRow make_row(std::span<const WordPieceToken> pieces, SloRatios slo) const;
  void read_bottom(TlmRow wanted);
  Result<std::vector<float>> keep_probabilities(std::span<const WordPieceToken> pieces, SloRatios slo);
};

Result<void> Tlm::Impl::check(const WordPieces& prompt, SloRatios slo) const {
  if (auto done = check_ratio("TTFT", slo.ttft); !done) return done;
  if (auto done = check_ratio("TPOT", slo.tpot); !done) return done;
  for (const WordPieceToken& token : prompt.tokens) {
    if (token.id < 0 || static_cast<std::uint32_t>(token.id) >= model.shape.vocab ||
        token.word >= prompt.words.size() || token.segment >= kTlmSegments) {
      return invalid_argument("piece " + std::to_string(token.id) + " of word " + std::to_string(token.word) +
                              " in segment " + std::to_string(token.segment) + " is not of this vocabulary of " +
                              std::to_string(model.shape.vocab) + ", this prompt of " +
                              std::to_string(prompt.words.size()) + " words or the " + std::to_string(kTlmSegments) +
                              " segments");
    }
  }
  return {};
}

TlmRow Tlm::Impl::make_row(std::span<const WordPieceToken> pieces, SloRatios slo) const {
  const TlmShape& s = model.shape;
  const std::size_t ttft = s.vocab + level_index(s.ttft_levels, slo.ttft);
  const std::size_t tpot = s.vocab + s.ttft_levels.size() + level_index(s.tpot_levels, slo.tpot);
  TlmRow made;
  const auto add = [&](std::int32_t id, std::uint8_t segment) {
    made.ids.push_back(id);
    made.segments.push_back(segment);
  };
  for (const std::size_t id : {static_cast<std::size_t>(wordpiece->cls_id()), ttft, tpot})
    add(static_cast<std::int32_t>(id), 0);
  for (const WordPieceToken& piece : pieces) add(piece.id, piece.segment);
  add(wordpiece->sep_id(), 0);
  return made;
}

void Tlm::Impl::read_bottom(TlmRow wanted) {
  if (wanted == row) return;
  row = {};  // what follows may throw
  pass.embed(wanted, shared);
  pass.run(model.bottom, shared, wanted.ids.size());
  row = std::move(wanted);
}

// Per piece; at most as many as one row holds.
Result<std::vector<float>> Tlm::Impl::keep_probabilities(std::span<const WordPieceToken> pieces, SloRatios slo) {
  read_bottom(make_row(pieces, slo));
  states = shared;
  pass.run(model.score_layers, states, row.ids.size());
  std::vector<float> logits(row.ids.size() * kScoreClasses), keep;
  pass.classify(model.score, states, row.ids.size(), logits.data());
  if (!all_finite(logits)) return not_finite();
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const float* token =
        logits.data() + (i + kTlmSpecialTokens - 1) * kScoreClasses;  // all but [SEP] stand before the pieces
    keep.push_back(1.0f / (1.0f + std::exp(token[kDiscard] - token[kRetain])));
  }
  return keep;
}

Tlm::Tlm(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tlm::Tlm(Tlm&&) noexcept = default;
Tlm& Tlm::operator=(Tlm&&) noexcept = default;
Tlm::~Tlm() = default;

Result<Tlm> Tlm::create(const Artifact& artifact, std::uint32_t threads) {
  return guarded("open the tiny language model", [&]() -> Result<Tlm> {
    if (threads > kMaxThreads) {
      return invalid_argument(std::to_string(threads) + " threads were asked for, expected at most " +
                              std::to_string(kMaxThreads));
    }
    auto wordpiece = artifact.wordpiece();
    if (!wordpiece) return wordpiece.take_failure();
    return Tlm(std::make_unique<Impl>(artifact.model(), std::move(wordpiece).value(), resolve_threads(threads)));
  });
}

const TlmShape& Tlm::shape() const { return impl_->model.shape; }
const WordPiece& Tlm::wordpiece() const { return *impl_->wordpiece; }
std::uint32_t Tlm::max_pieces() const { return static_cast<std::uint32_t>(impl_->room()); }

Result<TlmProposal> Tlm::decide(const WordPieces& prompt, SloRatios slo) {
  return guarded("run the decision-head", [&]() -> Result<TlmProposal> {
    Impl& m = *impl_;
    if (auto done = m.check(prompt, slo); !done) return done.take_failure();
    const TlmShape& s = m.model.shape;
    m.read_bottom(m.make_row(decision_pieces(prompt.tokens, m.room()), slo));
    m.states = m.shared;
    m.pass.run(m.model.decision_layers, m.states, m.row.ids.size(), true);
    TlmProposal made;
    made.model_logits.resize(s.model_levels.size());
    made.prompt_logits.resize(s.prompt_levels.size());
    m.pass.classify(m.model.model_level, m.states, 1, made.model_logits.data());
    m.pass.classify(m.model.prompt_level, m.states, 1, made.prompt_logits.data());
    if (!all_finite(made.model_logits) || !all_finite(made.prompt_logits)) return not_finite();
    made.decision = {most_probable(s.model_levels, made.model_logits),
                     most_probable(s.prompt_levels, made.prompt_logits)};
    return made;
  });
}

Result<std::vector<float>> Tlm::score_words(const WordPieces& prompt, SloRatios slo) {
  return guarded("run the score-head", [&]() -> Result<std::vector<float>> {
    Impl& m = *impl_;
    if (auto done = m.check(prompt, slo); !done) return done.take_failure();
    auto chunks = plan_chunks(prompt.tokens, m.room(), m.room() / 4);
    if (!chunks) return chunks.take_failure();
    std::vector<std::vector<float>> scores;
    for (const TokenChunk& chunk : chunks.value()) {
      auto keep = m.keep_probabilities(std::span(prompt.tokens).subspan(chunk.begin, chunk.end - chunk.begin), slo);
      if (!keep) return keep.take_failure();
      scores.push_back(std::move(keep).value());
    }
    return merge_word_scores(prompt.tokens, prompt.words.size(), chunks.value(), scores);
  });
}

}  // namespace elrt
