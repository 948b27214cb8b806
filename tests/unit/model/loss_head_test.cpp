// The LM head in pieces against whole logits in float64: losses, gradients, and a teacher cut to its likeliest tokens.
#include <catch2/catch.hpp>

#include "model/loss_head.h"
#include "model/matrix_product.h"

namespace {

using namespace elastify;
using torch::Tensor;

// Whole logits, in float64, with autograd: the formulas of loss_head.h.
struct Whole {
  Tensor losses, gradient;
};
Whole whole(const Tensor& states_in, const Tensor& head, const Tensor& targets, const TopTokens& teacher,
            const Objective& objective) {
  const Tensor states = states_in.detach().to(torch::kFloat64).requires_grad_();
  const Tensor logits = states.mm(head.to(torch::kFloat64).t());
  const double w = teacher.defined() ? objective.distill_weight : 0, t = objective.temperature;
  Tensor loss = -(1 - w) * torch::log_softmax(logits, -1).gather(-1, targets.unsqueeze(-1)).squeeze(-1);
  if (w > 0) {
    const Tensor p = torch::softmax(logits / t, -1), q = teacher.log.to(torch::kFloat64).exp();
    const Tensor top = p.gather(-1, teacher.ids.to(torch::kInt64));
    Tensor kl = (q * (q.log() - top.log())).sum(-1);
    if (teacher.ids.size(1) < head.size(0)) {
      const Tensor q_rest = 1 - q.sum(-1), p_rest = 1 - top.sum(-1);
      kl = kl + q_rest * (q_rest / p_rest).log();
    }
    loss = loss + w * t * t * kl;
  }
  (loss.sum() * objective.scale).backward();
  return {loss.detach(), states.grad()};
}

void check_close(const Tensor& found, const Tensor& expected, double tolerance) {
  const double scale = expected.abs().max().item<double>();
  CHECK((found.to(torch::kFloat64) - expected).abs().max().item<double>() <= tolerance * scale);
}

struct Case {
  Tensor states, head, targets, teacher_states;
};
Case make_case(std::int64_t rows, std::int64_t vocab) {
  torch::manual_seed(3);
  const std::int64_t hidden = 24;
  return {torch::randn({rows, hidden}, torch::kFloat64), torch::randn({vocab, hidden}, torch::kFloat64) * 0.5,
          torch::randint(vocab, {rows}, torch::kInt64), torch::randn({rows, hidden}, torch::kFloat64)};
}

void compare(torch::ScalarType type, std::int64_t k, const Objective& objective, double tolerance) {
  const Case c = make_case(70, 1003);
  const Tensor states = c.states.to(type), head = c.head.to(type);
  const TopTokens teacher =
      k == 0 ? TopTokens{} : top_tokens(c.teacher_states.to(type), head, k, objective.temperature);
  const HeadLoss found = head_loss(states, head, c.targets, teacher, objective, true);
  const Whole expected = whole(states, head, c.targets, teacher, objective);
  check_close(found.losses, expected.losses, tolerance);
  check_close(found.gradient, expected.gradient, tolerance);
  CHECK(head_loss(states, head, c.targets, teacher, objective, false).losses.equal(found.losses));
}

}  // namespace

TEST_CASE("the head's loss and gradient in pieces equal those of whole logits", "[model][unit]") {
  // float64 differs by the order of sums. float32: sums of a thousand terms. bfloat16: logits and their gradient keep 8
  // bits, 2^-8 of the largest, and the loss is a difference of logits.
  for (const auto& [type, tolerance] : {std::pair{torch::kFloat64, 1e-12}, std::pair{torch::kFloat32, 1e-5}}) {
    for (const std::int64_t k : {0, 1, 16, 1003}) {
      compare(type, k, {1, 1, 1}, tolerance);
      compare(type, k, {0.3, 1, 0.01}, tolerance);
      compare(type, k, {0.6, 2.5, 1}, tolerance);
      compare(type, k, {1, 0.5, 1}, tolerance);
    }
  }
  if (multiplies_bfloat16(torch::kCPU)) compare(torch::kBFloat16, 16, {0.5, 1, 1}, 3e-2);
}

TEST_CASE("an objective of two tokens equals its hand-worked value", "[model][unit]") {
  // The student gives 1/2 each, the teacher 3/4 and 1/4, the text says the first.
  const Tensor states = torch::zeros({1, 1}, torch::kFloat64), head = torch::tensor({{1.0}, {-1.0}}, torch::kFloat64);
  const Tensor target = torch::zeros({1}, torch::kInt64);
  const TopTokens teacher{torch::tensor({{0, 1}}, torch::kInt32),
                          torch::tensor({{std::log(0.75), std::log(0.25)}}, torch::kFloat64)};
  const double kl = 0.75 * std::log(1.5) + 0.25 * std::log(0.5);
  const HeadLoss distilled = head_loss(states, head, target, teacher, {1, 1, 1}, true);
  CHECK(distilled.losses.item<double>() == Approx(kl));
  CHECK(distilled.gradient.item<double>() == Approx(-0.25 - 0.25));  // logits' gradient (-1/4, 1/4) times (1, -1)
  const HeadLoss mixed = head_loss(states, head, target, teacher, {0.5, 1, 2}, true);
  CHECK(mixed.losses.item<double>() == Approx(0.5 * kl + 0.5 * std::log(2.0)));
  CHECK(mixed.gradient.item<double>() == Approx(2 * (0.5 * -0.5 + 0.5 * -1)));
}

TEST_CASE("a teacher's tokens come in falling order with their log-probabilities", "[model][unit]") {
  const Case c = make_case(40, 700);
  for (const auto type : {torch::kFloat64, torch::kFloat32}) {
    const TopTokens found = top_tokens(c.states.to(type), c.head.to(type), 9, 2);
    const auto [log, ids] = torch::log_softmax(c.states.mm(c.head.t()) / 2, -1).topk(9, -1);
    CHECK(found.ids.to(torch::kInt64).equal(ids));
    CHECK(torch::allclose(found.log.to(torch::kFloat64), log, 0, 1e-5));
  }
}
