#include "baselines/scratch.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/stopwatch.h"
#include "finetune/stepper.h"
#include "train/flat_adamw.h"
#include "train/training_state.h"

namespace elastify {
namespace {

constexpr std::int64_t kHeadPositions = 256;  // of the head: bounds what logits take

// Every weight that is trained, in one order: blocks, embedding, final norm, and the head where it is not tied.
template <typename Visit>
void for_each_weight(ModelWeights& weights, bool tied, Visit&& visit) {
  for (BlockWeights& block : weights.blocks) {
    for (const BlockTensor& part : block_table()) {
      torch::Tensor& tensor = block.*part.field;
      if (tensor.defined() && tensor.numel() > 0) visit(tensor, &part);
    }
  }
  visit(weights.embedding, nullptr);
  visit(weights.final_norm, nullptr);
  if (tied)
    weights.head = weights.embedding;
  else
    visit(weights.head, nullptr);
}

void draw_inplace(torch::Tensor& values, const BlockTensor* part, at::Generator& generator) {
  if (values.dim() == 1) {
    // A vector of a block is a norm or a bias; outside the blocks it is the final norm.
    const bool bias = part != nullptr && std::string_view(part->name).ends_with(".bias");
    values.fill_(bias ? 0 : 1);
  } else if (part != nullptr && part->stored.by_input()) {
    values.zero_();
  } else {
    const double spread = part == nullptr ? 0.02 : 1 / std::sqrt(3 * static_cast<double>(values.size(1)));
    values.copy_(torch::randn(values.sizes(), generator, torch::kFloat32) * spread);
  }
}

// Recovery's objective (model/loss_head.h) by autograd, for here the head learns too. Summed over the positions, times
// scale.
torch::Tensor objective_loss(const torch::Tensor& logits, const TopTokens& teacher, const torch::Tensor& targets,
                             const FinetuneConfig& config, double scale) {
  const double weight = teacher.defined() ? config.distill_weight : 0, t = config.temperature;
  torch::Tensor loss = torch::zeros({}, logits.options());
  if (weight < 1) loss = loss + (1 - weight) * summed_loss(logits, targets);
  if (weight > 0) {
    constexpr double kLeast = 1e-20;  // of a probability, before its logarithm
    const torch::Tensor chosen = torch::log_softmax(logits / t, -1).gather(-1, teacher.ids.to(torch::kInt64));
    const torch::Tensor rest = (1 - chosen.exp().sum(-1)).clamp_min(kLeast).log();
    const torch::Tensor q = teacher.log.exp(), q_rest = (1 - q.sum(-1)).clamp_min(kLeast);
    const torch::Tensor divergence = (q * (teacher.log - chosen)).sum(-1) + q_rest * (q_rest.log() - rest);
    loss = loss + weight * t * t * divergence.sum();
  }
  return loss * scale;
}

// Loss and gradients of one pass, the head taken a few positions at a time.
double backward_pass(const Decoder& decoder, const Batch& batch, const ScratchTask& task, double scale,
                     ProductType products) {
  ForwardOptions options;
  options.products = products;
  const torch::Tensor states = counted_positions(decoder.hidden(batch.inputs, options), batch);
  const TopTokens teacher = task.teacher != nullptr ? task.teacher->top(batch) : TopTokens{};
  torch::Tensor leaf = states.detach().requires_grad_(true);
  double sum = 0;
  for (std::int64_t first = 0; first < batch.counted(); first += kHeadPositions) {
    const std::int64_t here = std::min(kHeadPositions, batch.counted() - first);
    TopTokens part;
    if (teacher.defined()) part = {teacher.ids.narrow(0, first, here), teacher.log.narrow(0, first, here)};
    const torch::Tensor loss = objective_loss(decoder.head(leaf.narrow(0, first, here), products), part,
                                              batch.targets.narrow(0, first, here), task.config, scale);
    loss.backward();
    sum += loss.item<double>();
  }
  states.backward(leaf.grad());
  return sum;
}

class ScratchTrainer {
 public:
  ScratchTrainer(ScratchModel& model, const ScratchTask& task)
      : model_(model),
        task_(task),
        decoder_(model.weights),
        optimizer_(model.values, model.gradients, task.config.beta1, task.config.beta2, task.config.weight_decay),
        order_(task.train.rows(), task.row_seed),
        products_(parse_product_type(task.config.products, model.values.device(), model.weights.config.hidden_size)) {}

  void run() {
    std::int64_t step = resume();
    Progress progress(task_.name, task_.schedule.steps, "steps");
    progress.resume_at(step);
    Stopwatch saved;
    while (step < task_.schedule.steps) {
      const double loss = one_step(++step);
      progress.update(step, fmt::format("loss {:.4f}", loss));
      if (interrupted() == 0 && saved.seconds() < task_.config.checkpoint_seconds) continue;
      checkpoint(step);
      saved.restart();
      stop_if_interrupted();
    }
  }

 private:
  fs::path path() const { return task_.directory / "checkpoint.safetensors"; }

  std::int64_t resume() {
    const auto state = TrainingState::load(path(), task_.key);
    if (!state) return 0;
    const torch::NoGradGuard no_grad;
    state->copy_to("values", model_.values);
    state->restore_optimizer("adamw", optimizer_);
    return state->count("step");
  }

  void checkpoint(std::int64_t step) const {
    TrainingState state;
    state.put("values", model_.values);
    state.put_optimizer("adamw", optimizer_);
    state.put_count("step", step);
    state.save(path(), task_.key);
  }

  double one_step(std::int64_t step) {
    const auto& config = task_.config;
    std::vector<Batch> batches;
    std::int64_t counted = 0;
    for (const auto& part : order_.rows((step - 1) * config.batch_rows, config.batch_rows)
                                .chunk(passes_of_step(config, task_.train.seq()))) {
      batches.push_back(make_batch(task_.train, part, model_.values.device()));
      counted += batches.back().counted();
    }
    model_.gradients.zero_();
    double loss = 0;
    for (const Batch& batch : batches) {
      if (batch.counted() > 0)
        loss += backward_pass(decoder_, batch, task_, 1 / static_cast<double>(counted), products_);
    }
    const double norm = model_.gradients.norm().item<double>();
    if (counted == 0) return loss;
    if (!std::isfinite(loss) || !std::isfinite(norm))
      fail_data("{}: step {} has loss {} and gradient norm {}: lower --scratch-rate", task_.name, step, loss, norm);
    if (config.clip_norm > 0 && norm > config.clip_norm) model_.gradients.mul_(config.clip_norm / norm);
    optimizer_.step(task_.schedule.rate(step));
    return loss;
  }

  ScratchModel& model_;
  const ScratchTask& task_;
  Decoder decoder_;
  FlatAdamW optimizer_;
  RowOrder order_;
  ProductType products_;
};

}  // namespace

ScratchModel make_scratch_model(const ModelWeights& full, const LevelWidths& widths, std::uint64_t seed) {
  const torch::NoGradGuard no_grad;
  const bool tied = full.config.tied_embeddings;
  ScratchModel model;
  model.weights = slice_weights(full, widths);
  std::int64_t count = 0;
  for_each_weight(model.weights, tied, [&](torch::Tensor& tensor, const BlockTensor*) { count += tensor.numel(); });
  const auto options = torch::TensorOptions().dtype(torch::kFloat32).device(full.embedding.device());
  model.values = torch::empty({count}, options);
  model.gradients = torch::zeros({count}, options);
  auto generator = at::detail::createCPUGenerator(derive_seed(seed, "scratch"));
  std::int64_t next = 0;
  for_each_weight(model.weights, tied, [&](torch::Tensor& tensor, const BlockTensor* part) {
    const std::int64_t size = tensor.numel();
    torch::Tensor leaf = model.values.narrow(0, next, size).view(tensor.sizes());
    draw_inplace(leaf, part, generator);
    const torch::Tensor gradient = model.gradients.narrow(0, next, size).view(tensor.sizes());
    tensor = leaf.detach().requires_grad_(true);
    tensor.mutable_grad() = gradient;
    next += size;
  });
  return model;
}

double scratch_learning_rate(std::int64_t hidden_size) {
  return 1e-3 * std::sqrt(576 / static_cast<double>(hidden_size));
}

void train_scratch_inplace(ScratchModel& model, const ScratchTask& task) {
  const fs::path done = task.directory / "model.safetensors";
  fs::create_directories(task.directory);
  torch::Tensor half = torch::empty_like(model.values, torch::kFloat16);
  if (const auto state = TrainingState::load(done, task.key)) {
    state->copy_to("values", half);
  } else {
    ScratchTrainer(model, task).run();
    half = model.values.to(torch::kFloat16);
    TrainingState result;
    result.put("values", half);
    result.save(done, task.key);
    std::error_code ignored;
    fs::remove(task.directory / "checkpoint.safetensors", ignored);
  }
  const torch::NoGradGuard no_grad;
  model.values.copy_(half);
}

}  // namespace elastify
