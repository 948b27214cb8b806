#include "finetune/full_step.h"

#include "finetune/adapter_trainer.h"
#include "finetune/stepper.h"
#include "model/side_by_side.h"

namespace elastify {

double time_full_step(const ModelWeights& weights, const TokenRows& text, const FinetuneConfig& config, int steps) {
  constexpr std::uint64_t kSeed = 1;
  const SharedThreads threads(config.workers);
  std::vector<Target> targets;
  for (const auto& name : config.targets) targets.push_back(parse_target(name));
  const Adapter adapter = make_adapter(weights, targets, config.rank, config.alpha, config.dropout, kSeed);
  FinetuneConfig plain = config;
  plain.loss = "next_token";  // the teacher's part of a step is a look-up
  Stepper stepper(weights, {full_widths(weights.config)}, adapter, plain, nullptr, kSeed, text.seq());
  RowOrder order(text.rows(), kSeed);
  std::vector<double> seconds;
  for (std::int64_t step = 0; step <= steps; ++step) {
    const auto outcome = stepper.step(text, order.rows(step * config.batch_rows, config.batch_rows), step, 0);
    if (step > 0) seconds.push_back(outcome.seconds);  // the first one warms caches
  }
  return median(seconds);
}

}  // namespace elastify
