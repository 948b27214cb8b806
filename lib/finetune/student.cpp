#include "finetune/student.h"

#include "model/level_pass.h"

namespace elastify {
namespace {

ProductType products_of(const FinetuneConfig& config, const ModelWeights& weights) {
  return parse_product_type(config.products, weights.embedding.device(), weights.config.hidden_size);
}

class PassStudent : public Student {
 public:
  explicit PassStudent(const StudentTask& task)
      : config_(task.weights.config), levels_(task.levels), flat_(task.flat), pass_(task.weights, torch::kBFloat16) {}

  void take_values() override {
    pass_.merge(&flat_.adapter);
    merged_ = true;
  }

  torch::Tensor pass(std::size_t level, FlatAdapter& flat, const Batch& batch, const TopTokens& teacher,
                     const Objective& objective, std::uint64_t) override {
    const torch::NoGradGuard no_grad;
    LevelPass::Trace trace;
    const torch::Tensor states = pass_.forward(batch.inputs, levels_[level], &trace);
    const HeadLoss loss =
        head_loss(counted_positions(states, batch).contiguous(), pass_.head(), batch.targets, teacher, objective, true);
    torch::Tensor gradient = loss.gradient;
    if (batch.positions.defined()) gradient = torch::zeros_like(states).index_copy_(0, batch.positions, loss.gradient);
    const Adapter sums = unflatten_adapter(flat.adapter, flat.gradients);
    pass_.backward(trace, levels_[level], gradient, slice_adapter(sums, config_, levels_[level]));
    return loss.losses.sum();
  }

  RowLosses losses(std::size_t level, bool with_adapter, const TokenRows& text, std::int64_t rows_at_once) override {
    if (with_adapter != merged_) pass_.merge(with_adapter ? &flat_.adapter : nullptr);
    const RowLosses found = losses_now(level, text, rows_at_once);
    if (with_adapter != merged_) pass_.merge(merged_ ? &flat_.adapter : nullptr);
    return found;
  }

  RowLosses losses_with(std::size_t level, const Adapter& adapter, const TokenRows& text,
                        std::int64_t rows_at_once) override {
    pass_.merge(&adapter);
    const RowLosses found = losses_now(level, text, rows_at_once);
    pass_.merge(merged_ ? &flat_.adapter : nullptr);
    return found;
  }

 private:
  RowLosses losses_now(std::size_t level, const TokenRows& text, std::int64_t rows_at_once) const {
    return row_losses([&](const torch::Tensor& tokens) { return pass_.forward(tokens, levels_[level]); }, pass_.head(),
                      text, rows_at_once);
  }

  const ModelConfig& config_;
  std::vector<LevelWidths> levels_;
  FlatAdapter& flat_;
  LevelPass pass_;
  bool merged_ = false;
};

class AutogradStudent : public Student {
 public:
  explicit AutogradStudent(const StudentTask& task)
      : config_(task.config), flat_(task.flat), products_(products_of(task.config, task.weights)) {
    for (const LevelWidths& widths : task.levels) decoders_.emplace_back(slice_weights(task.weights, widths));
    levels_ = task.levels;
    const bool half = products_ == ProductType::kBfloat16 && task.weights.head.scalar_type() == torch::kFloat32;
    head_ = half && multiplies_bfloat16(task.weights.head.device()) ? task.weights.head.to(torch::kBFloat16)
                                                                    : task.weights.head;
  }

  torch::Tensor pass(std::size_t level, FlatAdapter& flat, const Batch& batch, const TopTokens& teacher,
                     const Objective& objective, std::uint64_t dropout_seed) override {
    const CutAdapter cut = cut_leaves(flat, decoders_[level].config(), levels_[level]);
    ForwardOptions options;
    options.adapter = &cut.leaves;
    options.training = true;
    options.products = products_;
    torch::manual_seed(dropout_seed);
    const torch::Tensor states = counted_positions(decoders_[level].hidden(batch.inputs, options), batch);
    const HeadLoss loss =
        head_loss(states.detach().to(head_.scalar_type()).contiguous(), head_, batch.targets, teacher, objective, true);
    const auto gradients = torch::autograd::grad({states}, cut.leaves.parameters(),
                                                 {loss.gradient.to(states.scalar_type())}, {}, false, true);
    const torch::NoGradGuard no_grad;
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      if (gradients[i].defined()) cut.sums[i].add_(gradients[i]);
    }
    return loss.losses.sum();
  }

  RowLosses losses(std::size_t level, bool with_adapter, const TokenRows& text, std::int64_t rows_at_once) override {
    return losses_of(level, with_adapter ? &flat_.adapter : nullptr, text, rows_at_once);
  }
  RowLosses losses_with(std::size_t level, const Adapter& adapter, const TokenRows& text,
                        std::int64_t rows_at_once) override {
    return losses_of(level, &adapter, text, rows_at_once);
  }

 private:
  RowLosses losses_of(std::size_t level, const Adapter* whole, const TokenRows& text, std::int64_t rows_at_once) const {
    const Decoder& decoder = decoders_[level];
    Adapter cut;
    if (whole != nullptr) cut = slice_adapter(*whole, decoder.config(), levels_[level]);
    ForwardOptions options;
    options.adapter = whole != nullptr ? &cut : nullptr;
    const auto states = [&](const torch::Tensor& tokens) { return decoder.hidden(tokens, options).flatten(0, 1); };
    return row_losses(states, decoder.weights().head, text, rows_at_once, config_.workers);
  }

  const FinetuneConfig& config_;
  std::vector<LevelWidths> levels_;
  std::vector<Decoder> decoders_;
  FlatAdapter& flat_;
  ProductType products_;
  torch::Tensor head_;
};

}  // namespace

bool written_out_pass(const FinetuneConfig& config, const ModelWeights& weights, std::int64_t seq) {
  return config.dropout == 0 && products_of(config, weights) == ProductType::kBfloat16 && has_level_pass(weights, seq);
}

std::unique_ptr<Student> make_student(const StudentTask& task) {
  if (written_out_pass(task.config, task.weights, task.seq)) return std::make_unique<PassStudent>(task);
  return std::make_unique<AutogradStudent>(task);
}

StatesAndHead level_states(const ModelWeights& weights, const LevelWidths& widths, const Adapter* adapter,
                           const FinetuneConfig& config, std::int64_t seq) {
  FinetuneConfig plain = config;
  plain.dropout = 0;  // masks are for training
  if (written_out_pass(plain, weights, seq)) {
    const auto pass = std::make_shared<LevelPass>(weights, torch::kBFloat16);
    pass->merge(adapter);
    return {[pass, widths](const torch::Tensor& tokens) { return pass->forward(tokens, widths); }, pass->head()};
  }
  const auto decoder = std::make_shared<Decoder>(slice_weights(weights, widths));
  ForwardOptions options;
  if (adapter) options.adapter = adapter;
  return {[decoder, options](const torch::Tensor& tokens) { return decoder->hidden(tokens, options).flatten(0, 1); },
          weights.head};
}

StatesAndHead full_states(const ModelWeights& weights, const FinetuneConfig& config, std::int64_t seq) {
  return level_states(weights, full_widths(weights.config), nullptr, config, seq);
}

}  // namespace elastify
