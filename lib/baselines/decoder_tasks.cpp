#include "baselines/decoder_tasks.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "eval/task_reader.h"
#include "eval/task_score.h"

namespace elastify {

DecoderTaskModel::DecoderTaskModel(const Decoder& decoder, const Adapter* adapter, UnitTap tap) : decoder_(decoder) {
  options_.adapter = adapter;
  options_.tap = std::move(tap);
}

// States after the final norm of `ids`, [ids, hidden].
torch::Tensor DecoderTaskModel::read(std::span<const std::int32_t> ids, KvCache& cache) const {
  const torch::Tensor tokens =
      torch::tensor(std::vector<std::int64_t>(ids.begin(), ids.end()), torch::kInt64).unsqueeze(0);
  ForwardOptions options = options_;
  options.cache = &cache;
  return decoder_.hidden(tokens.to(decoder_.weights().embedding.device()), options).squeeze(0);
}

std::vector<double> DecoderTaskModel::losses(std::span<const std::int32_t> ids, std::size_t from) {
  const torch::NoGradGuard no_grad;
  if (!std::equal(prefix_.begin(), prefix_.end(), ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(from))) {
    prefix_.assign(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(from));
    prefix_cache_ = {};
    prefix_state_ = read(prefix_, prefix_cache_).slice(0, -1);
  }
  KvCache cache = prefix_cache_;  // tensors are replaced as it grows, never changed
  torch::Tensor states = prefix_state_;
  if (from + 1 < ids.size()) states = torch::cat({states, read(ids.subspan(from, ids.size() - from - 1), cache)});
  const std::vector<std::int64_t> targets(ids.begin() + static_cast<std::ptrdiff_t>(from), ids.end());
  const torch::Tensor losses =
      token_losses(decoder_.head(states), torch::tensor(targets, torch::kInt64).to(states.device()))
          .to(torch::kCPU, torch::kFloat64)
          .contiguous();
  if (!torch::isfinite(losses).all().item<bool>()) fail_data("baselines: the model's loss on a task is not finite");
  return {losses.data_ptr<double>(), losses.data_ptr<double>() + losses.numel()};
}

std::string DecoderTaskModel::answer(std::span<const std::int32_t>, std::size_t) {
  throw Error(ErrorCode::kInternal, "baselines score options and write no answers");
}

namespace {

std::string task_hash(const TaskSet& set) {
  std::string all;
  for (std::size_t i = 0; i < set.items.size(); ++i) {
    all += fmt::format("{} {}", set.items[i].task.family, set.items[i].task.answer);
    for (const ScoredTokens& option : set.tokens[i].options)
      all += fmt::format(" {}:{}", option.from, fmt::join(option.ids, ","));
    all += "\n";
  }
  return hash_text(all);
}

}  // namespace

TaskSet read_task_set(const std::vector<std::string>& files, std::int64_t limit, const elrt::Tokenizer& tokenizer,
                      std::size_t context_tokens) {
  TaskSet set;
  std::map<std::string, std::int64_t> counts;
  for (const auto& file : files) {
    for (EvalItem& item : read_task_file(file).items) {
      if (limit > 0 && counts[item.task.family] >= limit) continue;
      TaskTokens tokens = tokenize_task(tokenizer, "", item, context_tokens);
      if (!tokens.fits) continue;
      ++counts[item.task.family];
      set.items.push_back(std::move(item));
      set.tokens.push_back(std::move(tokens));
    }
  }
  if (!files.empty() && set.items.empty()) fail_data("no task fits the model's context of {} tokens", context_tokens);
  set.hash = task_hash(set);
  return set;
}

nlohmann::json measure_tasks(const Decoder& decoder, const Adapter* adapter, const UnitTap& tap, const TaskSet& tasks) {
  DecoderTaskModel model(decoder, adapter, tap);
  std::map<std::string, FamilyTally> tallies;
  Progress progress("tasks", static_cast<std::int64_t>(tasks.items.size()), "tasks");
  for (std::size_t i = 0; i < tasks.items.size(); ++i) {
    const auto& task = tasks.items[i].task;
    tallies[task.family].add(task, run_task(model, tasks.tokens[i], task.answer, false));
    progress.update(static_cast<std::int64_t>(i) + 1);
    stop_if_interrupted();
  }
  nlohmann::json result = {{"families", nlohmann::json::object()}};
  double sum = 0;
  for (const auto& [family, tally] : tallies) {
    result["families"][family] = tally.to_json();
    sum += tally.accuracy();
  }
  result["mean_accuracy"] = sum / static_cast<double>(tallies.size());
  return result;
}

}  // namespace elastify
