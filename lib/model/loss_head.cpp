#include "model/loss_head.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "model/logit_kernels.h"
#include "model/typed_rows.h"

namespace elastify {
namespace {

using torch::Tensor;

constexpr double kLeastRest = 1e-6;  // of the probability: below it "any other" does not count

torch::ScalarType loss_type(const Tensor& states) {
  return states.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
}

bool by_kernels(const Tensor& states) {
  return states.device().is_cpu() &&
         (states.scalar_type() == torch::kFloat32 || states.scalar_type() == torch::kBFloat16);
}

// What a teacher says of one row.
struct TopRow {
  const std::int32_t* ids = nullptr;
  const float* log = nullptr;
  std::int64_t k = 0;
};

// Loss of one row of logits; `gradient` (may be null, may not overlap) becomes d loss / d logits.
float row_loss(const float* logits, std::int64_t vocab, std::int64_t target, const TopRow& top,
               const Objective& objective, float* gradient) {
  const bool distill = top.k > 0 && objective.distill_weight > 0;
  const double w = distill ? objective.distill_weight : 0, t = distill ? objective.temperature : 1;
  double loss = 0;
  if (w < 1 || t == 1) {
    const float log_sum = kernels::log_sum_exp(logits, vocab, 1);
    loss -= (1 - w) * static_cast<double>(logits[target] - log_sum);
    const auto factor = static_cast<float>(t == 1 ? 1 : 1 - w);  // p and p_T are one at T = 1
    if (gradient != nullptr) {
      kernels::scaled_softmax(logits, vocab, 1, log_sum, factor, false, gradient);
      gradient[target] -= static_cast<float>(1 - w);
    }
  } else if (gradient != nullptr) {
    std::fill(gradient, gradient + vocab, 0.0f);
  }
  if (!distill) return static_cast<float>(loss);

  const auto inverse = static_cast<float>(1 / t);
  const float log_sum = kernels::log_sum_exp(logits, vocab, inverse);
  double divergence = 0, q_sum = 0, p_sum = 0;
  for (std::int64_t j = 0; j < top.k; ++j) {
    const double log_q = top.log[j], log_p = logits[top.ids[j]] * inverse - log_sum, q = std::exp(log_q);
    divergence += q * (log_q - log_p);
    q_sum += q;
    p_sum += std::exp(log_p);
  }
  const double q_rest = 1 - q_sum, p_rest = std::max(1 - p_sum, kLeastRest);
  const bool rest = top.k < vocab && q_rest > kLeastRest;
  if (rest) divergence += q_rest * std::log(q_rest / p_rest);
  loss += w * t * t * divergence;
  if (gradient == nullptr) return static_cast<float>(loss);

  // Outside the k: w T (p - (q_rest / p_rest) p). Inside, the whole p comes back and q goes.
  const double outside = rest ? q_rest / p_rest : 0;
  if (t != 1) kernels::scaled_softmax(logits, vocab, inverse, log_sum, static_cast<float>(w * t), true, gradient);
  std::vector<float> kept(static_cast<std::size_t>(top.k));
  for (std::int64_t j = 0; j < top.k; ++j) kept[static_cast<std::size_t>(j)] = gradient[top.ids[j]];
  if (outside > 0)
    kernels::scaled_softmax(logits, vocab, inverse, log_sum, static_cast<float>(-w * t * outside), true, gradient);
  for (std::int64_t j = 0; j < top.k; ++j)
    gradient[top.ids[j]] = kept[static_cast<std::size_t>(j)] - static_cast<float>(w * t * std::exp(top.log[j]));
  return static_cast<float>(loss);
}

// losses: [rows]; `logits` becomes its own gradient where one is asked for.
void rows_by_kernels(Tensor& logits, const Tensor& targets, const TopTokens& teacher, const Objective& objective,
                     bool with_gradient, Tensor losses) {
  const std::int64_t vocab = logits.size(1), k = teacher.defined() ? teacher.ids.size(1) : 0;
  at::parallel_for(0, logits.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
    RowBuffer row, gradient(with_gradient ? static_cast<std::size_t>(vocab) : 0);
    for (std::int64_t r = begin; r < end; ++r) {
      TopRow top;
      if (k > 0) top = {teacher.ids.data_ptr<std::int32_t>() + r * k, teacher.log.data_ptr<float>() + r * k, k};
      losses.data_ptr<float>()[r] = row_loss(read_row(logits, r, row), vocab, targets.data_ptr<std::int64_t>()[r], top,
                                             objective, with_gradient ? gradient.data() : nullptr);
      if (!with_gradient) continue;
      for (float& value : gradient) value *= static_cast<float>(objective.scale);
      write_row(logits, r, gradient.data());
    }
  });
}

// The same by LibTorch's operations, on any device and in any type.
void rows_by_operations(Tensor& logits, const Tensor& targets, const TopTokens& teacher, const Objective& objective,
                        bool with_gradient, Tensor losses) {
  const auto type = loss_type(logits);
  const Tensor wide = logits.to(type), index = targets.unsqueeze(-1);
  const double w = teacher.defined() ? objective.distill_weight : 0, t = objective.temperature;
  Tensor loss = torch::zeros({wide.size(0)}, wide.options()), gradient = torch::zeros_like(wide);
  if (w > 0) {
    const Tensor log_p = torch::log_softmax(wide / t, -1), p = log_p.exp(), ids = teacher.ids.to(torch::kInt64);
    const Tensor log_q = teacher.log.to(type), q = log_q.exp(), log_top = log_p.gather(-1, ids);
    const Tensor q_rest = 1 - q.sum(-1, true), p_rest = (1 - log_top.exp().sum(-1, true)).clamp_min(kLeastRest);
    const Tensor counts = (q_rest > kLeastRest) & torch::full_like(q_rest, ids.size(1) < wide.size(1)).to(torch::kBool);
    const Tensor rest = torch::where(counts, q_rest, torch::zeros_like(q_rest));
    loss += w * t * t *
            ((q * (log_q - log_top)).sum(-1) +
             torch::where(counts, rest * (q_rest.clamp_min(kLeastRest) / p_rest).log(), rest).squeeze(-1));
    gradient += (p * (1 - rest / p_rest)).scatter(-1, ids, log_top.exp() - q).mul_(w * t);
  }
  if (w < 1) {
    const Tensor log = torch::log_softmax(wide, -1);
    loss -= (1 - w) * log.gather(-1, index).squeeze(-1);
    gradient += log.exp().scatter_add(-1, index, torch::full_like(index, -1, wide.options())).mul_(1 - w);
  }
  losses.copy_(loss);
  if (with_gradient) logits = gradient.mul_(objective.scale).to(logits.scalar_type());
}

TopTokens rows_of(const TopTokens& teacher, std::int64_t first, std::int64_t count) {
  if (!teacher.defined()) return {};
  return {teacher.ids.narrow(0, first, count), teacher.log.narrow(0, first, count)};
}

}  // namespace

std::int64_t logit_rows_at_once(std::int64_t vocab) {
  constexpr std::int64_t kLogits = std::int64_t{1} << 23;
  return std::max<std::int64_t>(32, kLogits / vocab / 16 * 16);
}

HeadLoss head_loss(const Tensor& states, const Tensor& head, const Tensor& targets, const TopTokens& teacher,
                   const Objective& objective, bool with_gradient) {
  const torch::NoGradGuard no_grad;
  require(states.dim() == 2 && states.scalar_type() == head.scalar_type() && targets.size(0) == states.size(0),
          "head_loss: {} states, {} targets", states.size(0), targets.size(0));
  const std::int64_t rows = states.size(0), step = logit_rows_at_once(head.size(0));
  HeadLoss result{torch::empty({rows}, states.options().dtype(loss_type(states))), {}};
  if (with_gradient) result.gradient = torch::empty_like(states);
  const auto take_rows = by_kernels(states) ? rows_by_kernels : rows_by_operations;
  for (std::int64_t first = 0; first < rows; first += step) {
    const std::int64_t count = std::min(step, rows - first);
    Tensor logits = torch::mm(states.narrow(0, first, count), head.t());
    take_rows(logits, targets.narrow(0, first, count), rows_of(teacher, first, count), objective, with_gradient,
              result.losses.narrow(0, first, count));
    if (with_gradient) result.gradient.narrow(0, first, count).copy_(torch::mm(logits, head));
  }
  return result;
}

TopTokens top_tokens(const Tensor& states, const Tensor& head, std::int64_t k, double temperature) {
  const torch::NoGradGuard no_grad;
  const std::int64_t rows = states.size(0), vocab = head.size(0), step = logit_rows_at_once(vocab);
  require(k >= 1 && k <= vocab, "{} of {} tokens", k, vocab);
  TopTokens result{torch::empty({rows, k}, states.options().dtype(torch::kInt32)),
                   torch::empty({rows, k}, states.options().dtype(loss_type(states)))};
  for (std::int64_t first = 0; first < rows; first += step) {
    const std::int64_t count = std::min(step, rows - first);
    const Tensor logits = torch::mm(states.narrow(0, first, count), head.t());
    if (!by_kernels(states)) {
      const auto [log, ids] = torch::log_softmax(logits.to(loss_type(states)) / temperature, -1).topk(k, -1);
      result.ids.narrow(0, first, count).copy_(ids);
      result.log.narrow(0, first, count).copy_(log);
      continue;
    }
    const auto inverse = static_cast<float>(1 / temperature);
    at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
      RowBuffer buffer;
      for (std::int64_t r = begin; r < end; ++r) {
        const float* row = read_row(logits, r, buffer);
        float* log = result.log.data_ptr<float>() + (first + r) * k;
        kernels::largest(row, vocab, k, result.ids.data_ptr<std::int32_t>() + (first + r) * k, log);
        const float log_sum = kernels::log_sum_exp(row, vocab, inverse);
        for (std::int64_t j = 0; j < k; ++j) log[j] = log[j] * inverse - log_sum;
      }
    });
  }
  return result;
}

}  // namespace elastify
