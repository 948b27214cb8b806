#include "tlm/train_progress.h"

#include "train/training_state.h"

namespace elastify {
namespace {

// The folder that the file lies in is one of these inputs and settings already.
constexpr const char* kKey = "tiny language model";

}  // namespace

void save_train_progress(const fs::path& path, const FlatSlots& flat, const TlmTrainResult& result) {
  TrainingState state;
  for (const auto& [name, tensor] : flat.state()) state.put(name, tensor);
  state.put_count("steps", flat.steps());
  state.put_figures("losses", result.losses);
  state.save(path, kKey);
}

std::int64_t load_train_progress(const fs::path& path, FlatSlots& flat, TlmTrainResult& result) {
  const auto state = TrainingState::load(path, kKey);
  if (!state) return 0;
  for (const auto& [name, tensor] : flat.state()) state->copy_to(name, tensor.detach());
  result.losses = state->figures("losses");
  flat.set_steps(state->count("steps"));
  return flat.steps();
}

}  // namespace elastify
