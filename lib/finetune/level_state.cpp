#include "finetune/level_state.h"

#include "train/training_state.h"

namespace elastify {
namespace {

// One list of names for saving and restoring.
template <typename State, typename Visit>
void for_each_count(State& s, Visit&& visit) {
  visit("step", s.step);
  visit("bad_steps", s.bad_steps);
  visit("stale", s.stale);
  visit("best_step", s.best_step);
  visit("line_steps", s.line_steps);
  visit("line_tokens", s.line_tokens);
  visit("metrics_bytes", s.metrics_bytes);
}
template <typename State, typename Visit>
void for_each_figure(State& s, Visit&& visit) {
  visit("best_loss", s.best_loss);
  visit("line_loss", s.line_loss);
  visit("line_seconds", s.line_seconds);
  visit("seconds", s.seconds);
  visit("evaluation_seconds", s.evaluation_seconds);
}

}  // namespace

void save_level_state(const fs::path& path, const LevelState& s, const std::string& key, Stepper& stepper) {
  TrainingState state;
  for_each_count(s,
                 [&](const char* name, const auto& value) { state.put_count(name, static_cast<std::int64_t>(value)); });
  for_each_figure(s, [&](const char* name, double value) { state.put_figure(name, value); });
  state.put_figures("step_seconds", s.step_seconds);
  state.put("values", stepper.flat().values);
  state.put_optimizer("adamw", stepper.optimizer());
  state.put_count("has_best", s.best.defined() ? 1 : 0);
  if (s.best.defined()) state.put("best", s.best);
  state.save(path, key);
}

std::optional<LevelState> load_level_state(const fs::path& path, const std::string& key, Stepper& stepper) {
  const auto state = TrainingState::load(path, key);
  if (!state) return std::nullopt;
  LevelState s;
  for_each_count(s, [&](const char* name, auto& value) {
    value = static_cast<std::remove_reference_t<decltype(value)>>(state->count(name));
  });
  for_each_figure(s, [&](const char* name, double& value) { value = state->figure(name); });
  s.step_seconds = state->figures("step_seconds");
  const torch::Tensor values = stepper.flat().values;
  state->copy_to("values", values);
  state->restore_optimizer("adamw", stepper.optimizer());
  if (state->count("has_best") != 0) s.best = state->tensor("best", values).to(values.options()).clone();
  return s;
}

}  // namespace elastify
