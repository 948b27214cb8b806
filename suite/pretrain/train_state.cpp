#include "pretrain/train_state.h"

#include "train/training_state.h"

namespace elastify {
namespace {

// One list of names for saving and restoring.
template <typename State, typename Visit>
void for_each_count(State& s, Visit&& visit) {
  visit("step", s.step);
  visit("first_document", s.first_document);
  visit("next_batch", s.next_batch);
  visit("pool_answers", s.pool_answers);
  visit("pool_right", s.pool_right);
  visit("tokens", s.tokens);
  visit("bad_steps", s.bad_steps);
  visit("metrics_bytes", s.metrics_bytes);
}

std::string buffer(std::size_t i, const std::string& name) { return fmt::format("{}.{}", kBufferNames[i], name); }

}  // namespace

void save_train_state(const fs::path& path, const TrainState& s, const std::string& key, const FlatModel& model,
                      const Optimizers& optimizers) {
  TrainingState state;
  for_each_count(s,
                 [&](const char* name, const auto& value) { state.put_count(name, static_cast<std::int64_t>(value)); });
  state.put_figure("seconds", s.seconds);
  state.put_figure("level", s.level);
  for (std::size_t i = 0; i < optimizers.size(); ++i) {
    state.put(buffer(i, "values"), model.values[i]);
    for (const auto& [name, tensor] : optimizers[i]->state()) state.put(buffer(i, name), tensor);
    state.put_count(buffer(i, "steps"), optimizers[i]->steps());
  }
  state.save(path, key);
}

std::optional<TrainState> load_train_state(const fs::path& path, const std::string& key, FlatModel& model,
                                           Optimizers& optimizers) {
  const auto state = TrainingState::load(path, key);
  if (!state) return std::nullopt;
  TrainState s;
  for_each_count(s, [&](const char* name, auto& value) {
    value = static_cast<std::remove_reference_t<decltype(value)>>(state->count(name));
  });
  s.seconds = state->figure("seconds");
  s.level = state->figure("level");
  for (std::size_t i = 0; i < optimizers.size(); ++i) {
    state->copy_to(buffer(i, "values"), model.values[i]);
    for (const auto& [name, tensor] : optimizers[i]->state()) state->copy_to(buffer(i, name), tensor.detach());
    optimizers[i]->set_steps(state->count(buffer(i, "steps")));
  }
  return s;
}

}  // namespace elastify
