// Accuracy on tasks of a model that no artifact holds: LibTorch's forward pass under lib/eval's rules.
#pragma once

#include <elrt/tokenizer.hpp>

#include <nlohmann/json.hpp>

#include "eval/eval_item.h"
#include "eval/task_model.h"
#include "eval/task_tokens.h"
#include "model/decoder.h"

namespace elastify {

// Scores options one after the other; what they have in common is read once.
class DecoderTaskModel : public TaskModel {
 public:
  DecoderTaskModel(const Decoder& decoder, const Adapter* adapter, UnitTap tap);
  std::vector<double> losses(std::span<const std::int32_t> ids, std::size_t from) override;
  // Throws Error(kInternal): written answers are the runtime's.
  std::string answer(std::span<const std::int32_t> prompt, std::size_t max_tokens) override;

 private:
  torch::Tensor read(std::span<const std::int32_t> ids, KvCache& cache) const;

  const Decoder& decoder_;
  ForwardOptions options_;
  std::vector<std::int32_t> prefix_;
  KvCache prefix_cache_;
  torch::Tensor prefix_state_;  // the last hidden state of the prefix, [1, hidden]
};

struct TaskSet {
  std::vector<EvalItem> items;
  std::vector<TaskTokens> tokens;
  std::string hash;  // of all tokens and answers
};
// The first `limit` items of each family of every file (0: all), those that fit the context.
TaskSet read_task_set(const std::vector<std::string>& files, std::int64_t limit, const elrt::Tokenizer& tokenizer,
                      std::size_t context_tokens);

// {mean_accuracy, families: {NAME: FamilyTally's fields}}; the mean is over families.
nlohmann::json measure_tasks(const Decoder& decoder, const Adapter* adapter, const UnitTap& tap, const TaskSet& tasks);

}  // namespace elastify
