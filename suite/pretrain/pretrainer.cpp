#include "pretrain/pretrainer.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/stopwatch.h"
#include "pretrain/curriculum.h"
#include "pretrain/passes.h"
#include "pretrain/train_state.h"
#include "train/metrics_log.h"
#include "train/schedule.h"

namespace elastify {
namespace {

// Documents that are batched by length together: enough for many lengths, few enough to follow the curriculum.
constexpr std::int64_t kPoolDocuments = 512;
constexpr std::int64_t kBadStepsAllowed = 20;

// Operations per second of a large matrix product in the type that training multiplies in, the best of a few.
double measure_peak_gflops(torch::Device device, ProductType products) {
  constexpr std::int64_t kSize = 1024;
  const auto type = products == ProductType::kBfloat16 ? torch::kBFloat16 : torch::kFloat32;
  const torch::Tensor a = torch::rand({kSize, kSize}, torch::TensorOptions().device(device)).to(type);
  double best = 1e9;
  for (int i = 0; i < 6; ++i) {
    const Stopwatch watch;
    torch::mm(a, a)[0][0].item<float>();
    best = std::min(best, watch.seconds());
  }
  return 2.0 * kSize * kSize * kSize / best / 1e9;
}

// Forward and backward: 6 operations per weight of a matrix, and the scores and mixing of attention over `seq` tokens.
double flops_per_token(const ModelConfig& c, double seq) {
  const double matrices = static_cast<double>(c.num_layers * c.weights_per_block() + c.vocab_size * c.hidden_size);
  return 6 * matrices + 12 * static_cast<double>(c.num_layers * c.num_heads * c.head_dim) * seq;
}

// The gradients of the blocks' matrices, in the order of FlatModel::matrices().
std::vector<torch::Tensor> matrix_gradients(const FlatModel& model) {
  std::vector<torch::Tensor> all;
  for (const auto& matrix : model.matrices()) all.push_back(matrix.grad());
  return all;
}

Optimizers make_optimizers(const PretrainConfig& c, const FlatModel& model, ProductType products) {
  const auto adamw = [&](FlatBuffer buffer, double decay) {
    return make_adamw(model.values[buffer], model.gradients[buffer], c.beta1, c.beta2, decay);
  };
  return {c.optimizer == "muon"
              ? make_muon(model.matrices(), matrix_gradients(model), c.momentum, c.weight_decay, products, c.workers)
              : adamw(kMatrixBuffer, c.weight_decay),
          adamw(kEmbeddingBuffer, c.weight_decay), adamw(kNormBuffer, 0)};
}

class Pretrainer {
 public:
  explicit Pretrainer(const PretrainJob& job)
      : job_(job),
        config_(job.config),
        device_(job.model.values[0].device()),
        last_step_(config_.stop_after > 0 ? std::min(config_.stop_after, config_.steps) : config_.steps),
        products_(parse_product_type(config_.products, device_, job.model.weights.config.hidden_size)),
        decoder_(job.model.weights),
        optimizers_(make_optimizers(config_, job.model, products_)),
        passes_(job.model, config_, products_),
        held_out_(job.corpus.held_out()) {
    schedule_.steps = config_.steps;
    schedule_.warmup_steps = std::max<std::int64_t>(1, std::min(config_.warmup_steps, config_.steps / 2));
    schedule_.peak = config_.learning_rate;
    schedule_.final_share = config_.final_rate;
    schedule_.eval_every = config_.eval_every > 0 ? config_.eval_every : std::max<std::int64_t>(1, config_.steps / 20);
  }

  PretrainSummary run() {
    const InterruptWatch interrupts;
    if (auto found = load_train_state(checkpoint_path(), job_.key, job_.model, optimizers_)) {
      state_ = *found;
      spdlog::info("pretrain: going on after step {}", state_.step);
    }
    MetricsLog metrics(job_.directory / "metrics.jsonl", state_.metrics_bytes);
    Progress progress("pretrain", last_step_, "steps");
    progress.resume_at(state_.step);
    if (state_.step > 0) make_pool();
    summary_.peak_gflops = measure_peak_gflops(device_, products_) * static_cast<double>(config_.workers);
    if (state_.step == 0) evaluate(metrics);  // what the initial weights can do
    Stopwatch saved;
    while (state_.step < last_step_) {
      const Stopwatch watch;  // evaluations and checkpoints are not counted
      one_step();
      state_.seconds += watch.seconds();
      if (state_.step % config_.log_every == 0 || state_.step == last_step_) write_line(metrics, progress);
      if (state_.step % schedule_.eval_every == 0 || state_.step == last_step_) evaluate(metrics);
      if (interrupted() != 0 || saved.seconds() >= config_.checkpoint_seconds) {
        state_.metrics_bytes = metrics.sync();
        save_train_state(checkpoint_path(), state_, job_.key, job_.model, optimizers_);
        saved.restart();
        stop_if_interrupted();
      }
      if (job_.after_step) job_.after_step(state_.step);
    }
    metrics.sync();
    if (summary_.held_out.empty()) evaluate(metrics);  // stopped after the last step
    return finish();
  }

 private:
  fs::path checkpoint_path() const { return job_.directory / "checkpoint.safetensors"; }

  // The pool's documents, batched, in an order drawn from the seed.
  void make_pool() {
    documents_.clear();
    for (std::int64_t i = 0; i < kPoolDocuments; ++i) {
      documents_.push_back(job_.corpus.training(static_cast<std::uint64_t>(state_.first_document + i), state_.level));
    }
    batches_ = batch_by_length(documents_, config_.batch_tokens);
    const auto seed = static_cast<std::uint64_t>(config_.seed);
    for (std::size_t i = batches_.size(); i > 1; --i) {
      std::swap(batches_[i - 1],
                batches_[derive_seed(seed, "batch order", static_cast<std::uint64_t>(state_.first_document) + i) % i]);
    }
  }

  const PaddedBatch& next_batch() {
    if (batches_.empty() || state_.next_batch == static_cast<std::int64_t>(batches_.size())) {
      if (!batches_.empty()) state_.first_document += kPoolDocuments;
      state_.level = next_level(config_.data, state_.level,
                                static_cast<double>(state_.step - 1) / static_cast<double>(config_.steps),
                                state_.pool_answers, state_.pool_right);
      state_.pool_answers = state_.pool_right = 0;
      state_.next_batch = 0;
      make_pool();
    }
    return batches_[static_cast<std::size_t>(state_.next_batch++)];
  }

  void one_step() {
    ++state_.step;
    std::vector<Pass> passes;
    std::int64_t tokens = 0;
    for (std::int64_t i = 0; i < config_.passes; ++i) {
      const PaddedBatch& batch = next_batch();
      passes.push_back(pass_of(batch));
      tokens += batch_tokens(batch);
    }
    const std::vector<PassFigures> figures = passes_.run(passes, job_.model);
    torch::NoGradGuard no_grad;
    double value = 0;
    for (const PassFigures& pass : figures) {
      value += pass.loss;
      state_.pool_answers += pass.answers.all;
      state_.pool_right += pass.answers.right;
      line_two_hops_ += pass.two_hops;
    }
    gradient_norm_ = gradient_length().item<double>();
    state_.tokens += tokens;
    if (!std::isfinite(value) || !std::isfinite(gradient_norm_)) return note_bad_step(value);
    state_.bad_steps = 0;
    line_loss_ += value;
    ++line_steps_;
    if (config_.clip_norm > 0 && gradient_norm_ > config_.clip_norm) {
      for (auto& gradient : job_.model.gradients) gradient.mul_(config_.clip_norm / gradient_norm_);
    }
    for (std::size_t buffer = 0; buffer < optimizers_.size(); ++buffer) {
      optimizers_[buffer]->step(schedule_.rate(state_.step) *
                                (buffer == kEmbeddingBuffer ? config_.embedding_rate : 1));
    }
  }

  // A batch with its tasks' answers as positions of its flattened targets: token i is predicted at i - 1.
  Pass pass_of(const PaddedBatch& batch) const {
    Pass pass{batch, {}, {}};
    const auto seq = static_cast<std::size_t>(batch.targets.size(1));
    for (std::size_t row = 0; row < batch.documents.size(); ++row) {
      const WeightedDocument& document = documents_[batch.documents[row]];
      const std::size_t shift = row * seq - 1;  // wraps at 0: positions begin at 1
      for (const AnswerSpan& value : document.values) pass.values.push_back({shift + value.begin, shift + value.end});
      pass.hops.insert(pass.hops.end(), document.hops.begin(), document.hops.end());
    }
    return pass;
  }

  torch::Tensor gradient_length() const {
    torch::Tensor squares = torch::zeros({}, job_.model.gradients[0].options());
    for (const auto& gradient : job_.model.gradients) squares = squares + gradient.square().sum();
    return squares.sqrt();
  }

  std::int64_t batch_tokens(const PaddedBatch& batch) const {
    std::size_t tokens = 0;
    for (const std::size_t i : batch.documents) tokens += documents_[i].ids.size() - 1;
    return static_cast<std::int64_t>(tokens);
  }

  void note_bad_step(double loss) {
    spdlog::warn("pretrain: step {} skipped: loss {}, gradient norm {}", state_.step, loss, gradient_norm_);
    if (++state_.bad_steps >= kBadStepsAllowed) {
      fail_data("pretrain: no finite loss in {} steps in a row: lower learning_rate (now {:.3g})", state_.bad_steps,
                config_.learning_rate);
    }
  }

  void write_line(MetricsLog& metrics, Progress& progress) {
    summary_.train_loss = line_steps_ > 0 ? line_loss_ / static_cast<double>(line_steps_) : NAN;
    const double speed = static_cast<double>(state_.tokens) / std::max(1e-9, state_.seconds);
    metrics.append({{"step", state_.step},
                    {"loss", summary_.train_loss},
                    {"learning_rate", schedule_.rate(state_.step)},
                    {"gradient_norm", gradient_norm_},
                    {"level", state_.level},
                    {"pool_answers", state_.pool_answers},
                    {"pool_right", state_.pool_right},
                    {"two_hops", line_two_hops_.all},
                    {"two_hops_right", line_two_hops_.right},
                    {"tokens", state_.tokens},
                    {"tokens_per_s", speed}});
    progress.update(state_.step,
                    fmt::format("loss {:.4f}, level {:.2f}, {} of {} right, {:.0f} tokens/s", summary_.train_loss,
                                state_.level, state_.pool_right, state_.pool_answers, speed));
    line_loss_ = 0;
    line_steps_ = 0;
    line_two_hops_ = {};
  }

  void evaluate(MetricsLog& metrics) {
    if (held_out_.empty()) return;
    std::map<std::string, std::vector<WeightedDocument>> families;
    for (const auto& document : held_out_) families[document.family].push_back(document);
    nlohmann::json line = {{"step", state_.step}, {"held_out", nlohmann::json::object()}};
    std::string words;
    for (const auto& [family, documents] : families) {
      const AnswerFigures figures = measure_answers(decoder_, documents, config_.batch_tokens);
      summary_.held_out[family] = figures;
      line["held_out"][family] = {{"loss", figures.loss}, {"right", figures.right}};
      words += fmt::format(", {} {:.3f} {:.0f}%", family, figures.loss, 100 * figures.right);
    }
    metrics.append(line);
    spdlog::info("pretrain step {}: held-out answers{}", state_.step, words.substr(1));
  }

  PretrainSummary finish() {
    const ModelConfig& c = decoder_.config();
    double rows = 0, tokens = 0;
    for (const auto& batch : batches_) {
      rows += static_cast<double>(batch.inputs.size(0));
      tokens += static_cast<double>(batch.inputs.numel());
    }
    summary_.steps = state_.step;
    summary_.tokens = state_.tokens;
    summary_.weights = job_.model.weight_count();
    summary_.seconds = state_.seconds;
    summary_.tokens_per_s = static_cast<double>(state_.tokens) / std::max(1e-9, state_.seconds);
    summary_.flops_per_token = flops_per_token(c, rows > 0 ? tokens / rows : 0);
    summary_.peak_share = summary_.tokens_per_s * summary_.flops_per_token / 1e9 / summary_.peak_gflops;
    return summary_;
  }

  const PretrainJob& job_;
  const PretrainConfig& config_;
  torch::Device device_;
  std::int64_t last_step_;
  ProductType products_;
  Decoder decoder_;
  Optimizers optimizers_;
  Passes passes_;
  std::vector<WeightedDocument> held_out_;
  Schedule schedule_;
  TrainState state_;
  PretrainSummary summary_;
  std::vector<WeightedDocument> documents_;
  std::vector<PaddedBatch> batches_;
  double line_loss_ = 0, gradient_norm_ = 0;
  std::int64_t line_steps_ = 0;
  RightCount line_two_hops_;
};

}  // namespace

PretrainSummary run_pretraining(const PretrainJob& job) { return Pretrainer(job).run(); }

AnswerFigures measure_answers(const Decoder& decoder, const std::vector<WeightedDocument>& documents,
                              std::int64_t batch_tokens) {
  torch::NoGradGuard no_grad;
  const torch::Device device = decoder.weights().embedding.device();
  AnswerFigures figures;
  double tokens = 0;
  for (const PaddedBatch& batch : batch_by_length(documents, batch_tokens)) {
    const torch::Tensor logits = decoder.logits(batch.inputs.to(device));
    const torch::Tensor losses = token_losses(logits, batch.targets.to(device)).cpu(), best = logits.argmax(-1).cpu();
    const auto loss = losses.accessor<float, 2>();
    const auto guess = best.accessor<std::int64_t, 2>();
    for (std::size_t row = 0; row < batch.documents.size(); ++row) {
      const WeightedDocument& document = documents[batch.documents[row]];
      for (const AnswerSpan& answer : document.answers) {
        bool right = true;
        for (std::size_t i = answer.begin; i < answer.end; ++i) {
          const auto r = static_cast<std::int64_t>(row), at = static_cast<std::int64_t>(i) - 1;
          figures.loss += loss[r][at];
          right = right && guess[r][at] == document.ids[i];
        }
        tokens += static_cast<double>(answer.end - answer.begin);
        figures.right += right;
        ++figures.answers;
      }
    }
  }
  if (tokens > 0) figures.loss /= tokens;
  if (figures.answers > 0) figures.right /= static_cast<double>(figures.answers);
  return figures;
}

nlohmann::json to_json(const PretrainSummary& s) {
  nlohmann::json held_out = nlohmann::json::object();
  for (const auto& [family, f] : s.held_out)
    held_out[family] = {{"loss", f.loss}, {"right", f.right}, {"answers", f.answers}};
  return {{"steps", s.steps},
          {"tokens", s.tokens},
          {"weights", s.weights},
          {"seconds", s.seconds},
          {"tokens_per_s", s.tokens_per_s},
          {"flops_per_token", s.flops_per_token},
          {"peak_gflops", s.peak_gflops},
          {"peak_share", s.peak_share},
          {"train_loss", s.train_loss},
          {"held_out", held_out}};
}

}  // namespace elastify
