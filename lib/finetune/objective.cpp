#include "finetune/objective.h"

namespace elastify {
namespace {

torch::ScalarType wide_type(const torch::Tensor& logits) {
  return logits.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
}

// Adds the distillation term to `loss` and `gradient`.
void add_distillation(const torch::Tensor& student, const torch::Tensor& teacher, double weight, double t,
                      torch::Tensor& loss, torch::Tensor& gradient) {
  const torch::Tensor student_log = torch::log_softmax(t == 1 ? student : student / t, -1);
  const torch::Tensor teacher_log = torch::log_softmax(t == 1 ? teacher : teacher / t, -1);
  const torch::Tensor q = teacher_log.exp();
  loss = loss + weight * t * t * (q * (teacher_log - student_log)).sum();
  gradient = gradient + student_log.exp().sub_(q).mul_(weight * t);
}

void add_next_token(const torch::Tensor& student, const torch::Tensor& targets, double weight, torch::Tensor& loss,
                    torch::Tensor& gradient) {
  const torch::Tensor log = torch::log_softmax(student, -1), index = targets.unsqueeze(-1);
  loss = loss - weight * log.gather(-1, index).sum();
  torch::Tensor difference = log.exp();
  difference.scatter_add_(-1, index, torch::full_like(index, -1, difference.options()));
  gradient = gradient + difference.mul_(weight);
}

}  // namespace

ObjectiveResult evaluate_objective(const torch::Tensor& student, const torch::Tensor& teacher,
                                   const torch::Tensor& targets, const Objective& objective) {
  torch::NoGradGuard no_grad;
  const torch::Tensor wide = student.detach().to(wide_type(student));
  const double weight = teacher.defined() ? objective.distill_weight : 0;
  torch::Tensor loss = torch::zeros({}, wide.options());
  torch::Tensor gradient = torch::zeros({1}, wide.options());
  if (weight > 0)
    add_distillation(wide, teacher.to(wide.scalar_type()), weight * objective.scale, objective.temperature, loss,
                     gradient);
  if (weight < 1) add_next_token(wide, targets, (1 - weight) * objective.scale, loss, gradient);
  return {loss, gradient.to(student.scalar_type())};
}

}  // namespace elastify
