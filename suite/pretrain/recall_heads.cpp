#include "pretrain/recall_heads.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>

#include "base/hash.h"
#include "model/decoder.h"

namespace elastify {
namespace {

// Sizes of parts of the residual stream relative to the embedding's random part, and scores before the softmax. Chosen
// so that both kinds of heads put most of their weight on the right token in contexts of a few hundred.
constexpr double kConstantShare = 0.5;  // dimension 0 against the length of the rest
constexpr double kPreviousScore = 16;   // of the token before
constexpr double kPreviousGain = 1;     // length of what is written about it
constexpr double kMatchScore = 12;      // of a key after an equal token
constexpr double kAnswerGain = 2;       // length of what is written towards the logits
constexpr double kTurn = 1.0;           // radians that a pair may turn over kReach tokens and still serve for matching
constexpr double kReach = 256;

class Planter {
 public:
  Planter(FlatModel& model, std::uint64_t seed)
      : model_(model), c_(model.weights.config), seed_(seed), angles_(rotary_frequencies(c_)) {
    for (std::int64_t pair = 0; pair < c_.head_dim / 2; ++pair) {
      if (angles_[pair].item<double>() * kReach <= kTurn) slow_pairs_.push_back(pair);
    }
    if (slow_pairs_.empty()) slow_pairs_.push_back(c_.head_dim / 2 - 1);
    matched_ = 2 * static_cast<std::int64_t>(slow_pairs_.size());
  }

  void plant() {
    const torch::NoGradGuard no_grad;
    deviation_ = model_.weights.embedding.detach().std().item<double>();
    length_ = deviation_ * std::sqrt(static_cast<double>(c_.hidden_size));
    model_.weights.embedding.detach().select(1, 0).fill_(kConstantShare * length_);
    const std::int64_t groups = std::max<std::int64_t>(1, c_.num_kv_heads / 2);
    for (std::int64_t group = 0; group < groups; ++group) {
      const torch::Tensor content = directions("content", group, matched_), mark = directions("mark", group, matched_);
      plant_previous(group, content, mark, groups);
      plant_match(group, content, mark, groups);
    }
  }

 private:
  // [count, hidden]: orthonormal rows that do not read dimension 0.
  torch::Tensor directions(const std::string& purpose, std::int64_t group, std::int64_t count) const {
    auto generator = at::detail::createCPUGenerator(derive_seed(seed_, purpose, static_cast<std::uint64_t>(group)));
    const torch::Tensor random =
        torch::empty({c_.hidden_size - 1, std::min(count, c_.hidden_size - 1)}).normal_(0, 1, generator);
    const torch::Tensor basis = std::get<0>(torch::linalg_qr(random));
    torch::Tensor rows = torch::zeros({count, c_.hidden_size});
    rows.narrow(0, 0, basis.size(1)).narrow(1, 1, c_.hidden_size - 1).copy_(basis.t());
    return rows.to(model_.values[0].device());
  }

  BlockWeights& block(std::size_t layer) { return model_.weights.blocks[layer]; }
  // Rows of a group in K or V, of one of its query heads in Q; its columns in O.
  torch::Tensor key_rows(const torch::Tensor& weight, std::int64_t group) const {
    return weight.detach().narrow(0, group * c_.head_dim, c_.head_dim);
  }
  torch::Tensor query_rows(const torch::Tensor& weight, std::int64_t group, std::int64_t query) const {
    return weight.detach().narrow(0, (group * c_.queries_per_group() + query) * c_.head_dim, c_.head_dim);
  }
  torch::Tensor output_columns(const torch::Tensor& weight, std::int64_t group, std::int64_t query) const {
    return weight.detach().narrow(1, (group * c_.queries_per_group() + query) * c_.head_dim, c_.head_dim);
  }

  // The norm's factor for a residual stream that is `lengths` embeddings long.
  double norm_factor(double lengths) const {
    return std::sqrt(static_cast<double>(c_.hidden_size)) / (length_ * lengths);
  }

  void plant_previous(std::int64_t group, const torch::Tensor& content, const torch::Tensor& mark,
                      std::int64_t groups) {
    const double shares[] = {0.4, 0.3, 0.2,
                             0.1};  // the fastest pairs tell neighbours apart, several of them avoid their periods
    const double factor = norm_factor(std::sqrt(1 + kConstantShare * kConstantShare)),
                 constant = kConstantShare * length_ * factor;
    torch::Tensor keys = key_rows(block(0).k, group), values = key_rows(block(0).v, group);
    keys.zero_();
    values.zero_();
    values.narrow(0, 0, matched_).copy_(content);
    const std::int64_t half = c_.head_dim / 2, pairs = std::min<std::int64_t>(4, half);
    for (std::int64_t query = 0; query < c_.queries_per_group(); ++query) {
      torch::Tensor queries = query_rows(block(0).q, group, query);
      queries.zero_();
      for (std::int64_t pair = 0; pair < pairs; ++pair) {
        const double size =
            std::sqrt(kPreviousScore * shares[pair] * std::sqrt(static_cast<double>(c_.head_dim))) / constant;
        const double angle = angles_[pair].item<double>();
        keys[pair][0] = size;
        queries[pair][0] = size * std::cos(angle);  // turned back by one position
        queries[pair + half][0] = -size * std::sin(angle);
      }
      // A value's entry is deviation_ * factor long; what is written shall be as long as the embedding.
      const double gain =
          kPreviousGain * length_ / (deviation_ * factor * std::sqrt(static_cast<double>(matched_ * groups)));
      write(block(0).o, group, query, mark, gain / static_cast<double>(c_.queries_per_group()));
    }
  }

  void plant_match(std::int64_t group, const torch::Tensor& content, const torch::Tensor& mark, std::int64_t groups) {
    const double lengths = std::sqrt(1 + kConstantShare * kConstantShare + kPreviousGain * kPreviousGain),
                 factor = norm_factor(lengths);
    const double content_size = deviation_ * factor;  // of one entry of a token's projection
    const double mark_size = kPreviousGain * length_ * factor / std::sqrt(static_cast<double>(matched_ * groups));
    const double scale = std::sqrt(kMatchScore * std::sqrt(static_cast<double>(c_.head_dim)) /
                                   (static_cast<double>(matched_) * content_size * mark_size));
    torch::Tensor keys = key_rows(block(1).k, group), values = key_rows(block(1).v, group);
    keys.zero_();
    place(keys, mark * scale);
    const torch::Tensor answer = directions("answer", group, c_.head_dim);
    values.copy_(answer);
    for (std::int64_t query = 0; query < c_.queries_per_group(); ++query) {
      torch::Tensor queries = query_rows(block(1).q, group, query);
      queries.zero_();
      place(queries, content * scale);
      const double gain = kAnswerGain * length_ / (content_size * std::sqrt(static_cast<double>(c_.head_dim * groups)));
      write(block(1).o, group, query, answer, gain / static_cast<double>(c_.queries_per_group()));
    }
  }

  // Row r of `content` into slot r of the slow pairs' two halves.
  void place(torch::Tensor& rows, const torch::Tensor& content) const {
    const auto slow = static_cast<std::int64_t>(slow_pairs_.size());
    for (std::int64_t i = 0; i < slow; ++i) {
      rows[slow_pairs_[static_cast<std::size_t>(i)]].copy_(content[i]);
      rows[slow_pairs_[static_cast<std::size_t>(i)] + c_.head_dim / 2].copy_(content[slow + i]);
    }
  }

  // A head's value r goes to direction r of the residual stream.
  void write(torch::Tensor& o, std::int64_t group, std::int64_t query, const torch::Tensor& into, double gain) const {
    torch::Tensor columns = output_columns(o, group, query);
    columns.zero_();
    columns.narrow(1, 0, into.size(0)).copy_(into.t() * gain);
  }

  FlatModel& model_;
  const ModelConfig& c_;
  std::uint64_t seed_;
  torch::Tensor angles_;
  std::vector<std::int64_t> slow_pairs_;
  std::int64_t matched_ = 0;
  double deviation_ = 0, length_ = 0;  // of an embedding's entry, of a whole embedding
};

}  // namespace

void plant_recall_heads(FlatModel& model, std::uint64_t seed) {
  if (model.weights.config.num_layers >= 2) Planter(model, seed).plant();
}

}  // namespace elastify
