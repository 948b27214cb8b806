// What the cases of this folder share: random outcomes and random devices.
#pragma once

#include "label/decisions.h"

#include <random>

#include "unit/tlm/support.h"

namespace elastify_test {

// Three model levels, four prompt levels, two families; every decision right with probability 0.4. Without `phases`
// only decoding at the model level is known.
inline elastify::OutcomeTable random_outcomes(std::int64_t tasks, std::uint64_t seed, bool phases = true) {
  torch::manual_seed(seed);
  elastify::OutcomeTable t;
  t.model_levels = {20, 60, 100};
  t.prompt_levels = {10, 40, 70, 100};
  t.families = {"calls", "mail"};
  t.task = torch::arange(tasks, torch::kInt64);
  t.split = torch::arange(tasks, torch::kInt64) % 3;
  t.family = torch::arange(tasks, torch::kInt64) % 2;
  t.answer = torch::randint(0, 3, {tasks}, torch::kInt64);
  t.output_tokens = torch::randint(1, 20, {tasks}, torch::kInt64);
  t.prompt_words = torch::tensor(std::vector<std::int64_t>{10, 40, 70, 100}).expand({tasks, 4}).contiguous();
  // Compressed prompts are longer than their level says, as far as what must stay is long.
  t.prompt_tokens = (t.prompt_words * torch::randint(1, 4, {tasks, 1}, torch::kInt64)).clamp_min(25);
  const torch::Tensor right = torch::rand({tasks, 3, 3, 4}) < 0.4;
  const torch::Tensor answer = t.answer.view({-1, 1, 1, 1}).expand({tasks, 3, 3, 4});
  t.chosen = torch::where(right, answer, (answer + 1) % 3);
  t.losses = torch::rand({tasks, 3, 3, 4, 3}, torch::kFloat64) + 1;
  t.losses.scatter_(4, t.chosen.unsqueeze(4), 0.5);
  for (std::int64_t m = 0; m < 3; ++m) {
    for (std::int64_t d = 0; d < 3; ++d) {
      if (d == m || (d < m && phases)) continue;
      t.chosen.select(1, m).select(1, d).fill_(-1);
      t.losses.select(1, m).select(1, d).fill_(-1);
    }
  }
  return t;
}

inline elrt::LatencyTable random_latency(std::uint64_t seed, const std::vector<std::int64_t>& levels = {20, 60, 100}) {
  std::mt19937_64 random(seed);
  const auto step = [&] { return static_cast<double>(random() % 1000 + 1) / 100; };
  elrt::LatencyData data;
  data.device = "random";
  data.threads = data.repeats = 1;
  data.tokens = {8, 64, 512};
  for (const auto level : levels) {
    elrt::LevelLatency latency{static_cast<std::uint32_t>(level), {}, {}};
    double ttft = 0, tpot = 0;
    for (std::size_t i = 0; i < data.tokens.size(); ++i) {
      latency.ttft_ms.push_back(ttft += step() * static_cast<double>(level));
      latency.tpot_ms.push_back(tpot += step() * static_cast<double>(level) / 50);
    }
    data.levels.push_back(latency);
  }
  data.tlm = {{step(), 20, 40}, {step(), 20, 40}};
  return std::move(elrt::LatencyTable::create(std::move(data))).value();
}

}  // namespace elastify_test
